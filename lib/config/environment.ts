// `${NAME}` and `${NAME:-default}` in the scalars of a document; `$${` stands for a literal `${`.

export type Environment = Readonly<Record<string, string | undefined>>;

export interface Substitution {
  readonly text: string;
  /** Whether anything was replaced. */
  readonly changed: boolean;
  /** What was put in from the environment: values by the names of their variables. */
  readonly used: readonly (readonly [name: string, value: string])[];
  /** What is wrong, one entry for each reference; empty when all is well. */
  readonly faults: readonly string[];
}

/** Replaces every reference. As in a shell, `:-` also applies to a variable that is set but empty. Values are not substituted again. */
export function substitute(text: string, environment: Environment): Substitution {
  if (!text.includes('${')) return { text, changed: false, used: [], faults: [] };
  const faults: string[] = [];
  const used: [string, string][] = [];
  const result = text.replace(REFERENCE, (whole, escaped: string | undefined, body: string | undefined) => {
    if (escaped !== undefined) return '${';
    if (body === undefined) {
      faults.push(`"\${" is never closed; ${REMEDY}`);
      return whole;
    }
    const parts = /^([A-Za-z_][A-Za-z0-9_]*)(:-([\s\S]*))?$/.exec(body);
    if (parts === null) {
      faults.push(`"${whole}" is not a variable; ${REMEDY}`);
      return whole;
    }
    const name = parts[1]!;
    const value = Object.hasOwn(environment, name) ? environment[name] : undefined;
    if (parts[2] !== undefined && (value === undefined || value === '')) return parts[3]!;
    if (value === undefined) {
      faults.push(`the environment variable ${name} is not set; set it, or give a default: \${${name}:-default}`);
      return whole;
    }
    used.push([name, value]);
    return value;
  });
  return { text: result, changed: true, used, faults };
}

const REMEDY = `write \${NAME} or \${NAME:-default}, and $\${ for the characters themselves`;

// The three cases in the order in which they must be tried: escape, reference, stray opening.
const REFERENCE = /(\$\$\{)|\$\{([^}]*)\}|\$\{/g;
