// Elements made from text. No function takes HTML: a file's name or a model's words stay what they are.

const SVG = "http://www.w3.org/2000/svg";

/** Return an element. Attributes named `on…` are listeners, names with `--` are CSS variables, false and null are left out. */
export function element(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

function filled(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name.startsWith("--")) made.style.setProperty(name, value);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

const SHAPES = {
  allow: "M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1Zm-1.1 10L4 8.1l1.1-1.1 1.8 1.8 4-4L12 5.9z",
  review: "M8 .5.5 8 8 15.5 15.5 8zM7.2 4.4h1.6v4.4H7.2zm0 5.6h1.6v1.6H7.2z",
  block: "M4.9.5h6.2l4.4 4.4v6.2l-4.4 4.4H4.9L.5 11.1V4.9zM4 7.1v1.8h8V7.1z",
  error: "M8 1.2.4 14.5h15.2zM7.2 6h1.6v4H7.2zm0 5.1h1.6v1.6H7.2z",
};

/** Return the sign of a decision: each has a shape of its own, so that colour is never alone. */
export function sign(kind) {
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", SHAPES[kind] ?? SHAPES.error);
  path.setAttribute("fill-rule", "evenodd");
  const drawing = document.createElementNS(SVG, "svg");
  return filled(drawing, { viewBox: "0 0 16 16", class: "sign", "aria-hidden": "true" }, [path]);
}

/** Return a category's or a reason's name as words. */
export const words = (name) => name.replaceAll("_", " ");

/** Return a number of bytes as text. */
export function bytes(count) {
  if (count < 1000) return `${count} B`;
  const [size, unit] = count < 1e6 ? [count / 1e3, "kB"] : [count / 1e6, "MB"];
  return `${size < 10 ? size.toFixed(1) : Math.round(size)} ${unit}`;
}

/** Return milliseconds as text. */
export const milliseconds = (time) => (time < 100 ? time.toFixed(1) : Math.round(time).toLocaleString("en"));
