// The one script of the page: it shows what data-tip says beside the pointer, or beside what was touched. The page is
// whole without it: every chart has a title, a description and a table.

/** The whole content of the page's script element; also what its policy is made from. */
export const SCRIPT = `
'use strict';
const tip = document.createElement('div');
tip.id = 'tip';
tip.hidden = true;
document.body.append(tip);
// A browser's own tooltip would stand beside ours: the title becomes a label, which assistants read just as well.
for (const title of document.querySelectorAll('svg > title')) {
  title.parentElement.setAttribute('aria-label', title.textContent);
  title.remove();
}
const show = (event) => {
  const place = event.target instanceof Element ? event.target.closest('[data-tip]') : null;
  tip.hidden = place === null;
  if (place === null) return;
  tip.textContent = place.getAttribute('data-tip');
  const { width, height } = tip.getBoundingClientRect();
  const right = event.clientX + 16;
  const left = right + width > innerWidth - 8 ? event.clientX - width - 16 : right;
  const top = Math.min(event.clientY + 16, innerHeight - height - 8);
  tip.style.left = Math.max(8, left) + 'px';
  tip.style.top = Math.max(8, top) + 'px';
};
document.addEventListener('pointermove', show);
document.addEventListener('pointerdown', show);
document.addEventListener('scroll', () => { tip.hidden = true; }, { passive: true });
`;
