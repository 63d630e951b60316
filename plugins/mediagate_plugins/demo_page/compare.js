// Two pictures in one frame, and a slider for how much of each is seen.

import { element } from "./elements.js";

const HALF = 50;

/** Show a picture before and after; `shape` is the result's width divided by its height. */
export function comparison(before, after, shape, title) {
  const first = element("img", { src: before, alt: `${title}, before`, className: "before" });
  const second = element("img", { src: after, alt: `${title}, after`, className: "after" });
  const slider = element("input", { type: "range", min: 0, max: 100, value: HALF, ariaLabel: "Before and after" });
  const side = (textContent) => element("span", { className: "side", textContent, ariaHidden: "true" });
  const root = element("div", { className: "compare" }, first, second, side("Before"), side("After"), slider);
  const show = () => {
    root.style.setProperty("--before", `${slider.value}%`);
    slider.setAttribute("aria-valuetext", `${slider.value} % before, ${100 - slider.value} % after`);
  };
  root.style.setProperty("--shape", shape);
  slider.addEventListener("input", show);
  first.addEventListener("error", () => {
    root.replaceChildren(second);
    root.classList.add("alone");
  });
  show();
  return root;
}
