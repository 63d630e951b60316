// Elements of the page. Text is inserted through textContent only.

const COPIED_MS = 2000;

export const element = (name, properties = {}, ...children) => {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
};

export const link = (href, textContent) => element("a", { href, textContent, target: "_blank", rel: "noopener" });

export function button(textContent, run) {
  const made = element("button", { type: "button", textContent });
  made.addEventListener("click", () => run(made));
  return made;
}

/** Append a button for a text to a place; `copy` resolves to whether the text was copied. */
export function copyButton(label, copy, place) {
  const made = button(label, async () => {
    const done = await copy();
    made.style.minWidth = `${made.offsetWidth}px`;
    made.textContent = done ? "Copied" : "Not copied";
    setTimeout(() => { made.textContent = label; }, COPIED_MS);
  });
  place.append(made);
  return made;
}
