// The operations of the gate by family, to add to the steps. Those that need an extra tell how to install it.

import { button, element } from "./elements.js";
import { label } from "./words.js";

function byFamily(operations) {
  const families = new Map();
  for (const operation of operations) {
    families.set(operation.family, [...(families.get(operation.family) ?? []), operation]);
  }
  return families;
}

function choice(operation, add) {
  const made = button(label(operation.op), () => add(operation));
  made.title = operation.description;
  made.setAttribute("aria-label", `${made.textContent}: add to the steps`);
  return made;
}

const missing = ({ op, needs }) => element("p", { className: "quiet" },
  element("strong", { textContent: label(op) }), " is not installed: ", element("code", { textContent: needs.install }));

/** Fill a place with the operations; `add` is called with the chosen one. */
export function fillPalette(place, operations, add) {
  place.replaceChildren(...[...byFamily(operations)].map(([family, members]) => {
    const buttons = members.filter(({ available }) => available).map((operation) => choice(operation, add));
    const notes = members.filter(({ available }) => !available).map(missing);
    return element("div", { className: "family", role: "group", ariaLabel: label(family) },
      element("h3", { textContent: label(family) }), element("div", { className: "actions" }, ...buttons), ...notes);
  }));
}
