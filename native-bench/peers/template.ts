// Configuration templates: text with @NAMES@ in it. Strict both ways, so that a typing error in a template is an error
// and not a proxy that is measured with a setting missing.

/** Replaces each `@NAME@` by `values.NAME`. Throws on a name without value and on a value that the template never asks for. */
export function fillTemplate(template: string, values: Readonly<Record<string, string | number>>): string {
  const used = new Set<string>();
  const text = template.replace(/@([A-Z_]+)@/g, (_, name: string) => {
    const value = values[name];
    if (value === undefined) throw new Error(`the template asks for @${name}@, which has no value`);
    used.add(name);
    return String(value);
  });
  const unused = Object.keys(values).filter((name) => !used.has(name));
  if (unused.length > 0) throw new Error(`the template never asks for @${unused.join('@, @')}@`);
  return text;
}
