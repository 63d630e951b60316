// The live region of the page: screen readers say what is added to it, and nothing again.

import { element } from "./elements.js";

const ANNOUNCED = 4;

const region = document.getElementById("announcer");

export function announce(title, text) {
  region.append(element("p", { textContent: `${title}: ${text}` }));
  while (region.children.length > ANNOUNCED) region.firstChild.remove();
}
