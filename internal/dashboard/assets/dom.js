// A page as a function of what it shows: `h` describes elements, `patch` makes
// those in the page like them and leaves alone what is like them already, so
// that selections, focus and screen readers are not disturbed.

const svg = "http://www.w3.org/2000/svg";
const drawn = new Set(["svg", "g", "path", "line", "rect", "circle", "text", "polyline", "title"]);

/** h describes an element. Children may be descriptions, texts, lists of both, or null. */
export function h(tag, attributes, ...children) {
  return { tag, attributes: attributes ?? {}, children: children.flat(Infinity).filter((child) => child !== null && child !== undefined) };
}

/** patch makes the children of an element like the descriptions. */
export function patch(parent, wanted) {
  wanted.forEach((child, i) => {
    const present = parent.childNodes[i];
    const next = typeof child === "object" ? element(present, child) : text(present, String(child));
    if (next === present) return;
    if (present) present.replaceWith(next);
    else parent.append(next);
  });
  while (parent.childNodes.length > wanted.length) parent.lastChild.remove();
}

function text(present, wanted) {
  if (present?.nodeType !== Node.TEXT_NODE) return document.createTextNode(wanted);
  if (present.data !== wanted) present.data = wanted;
  return present;
}

function element(present, { tag, attributes, children }) {
  const reusable = present?.nodeType === Node.ELEMENT_NODE && present.localName === tag;
  const target = reusable ? present : drawn.has(tag) ? document.createElementNS(svg, tag) : document.createElement(tag);
  for (const { name } of [...target.attributes]) {
    if (!(name in attributes)) target.removeAttribute(name);
  }
  for (const [name, value] of Object.entries(attributes)) {
    if (target.getAttribute(name) !== String(value)) target.setAttribute(name, value);
  }
  patch(target, children);
  return target;
}
