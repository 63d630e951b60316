// The tabs of the page (https://www.w3.org/WAI/ARIA/apg/patterns/tabs/); the hash of the address names the open one.

const KEYS = { ArrowLeft: (at) => at - 1, ArrowRight: (at) => at + 1, Home: () => 0, End: () => -1 };

/** Make tabs of the buttons in a list, each of which names its panel; `opened` is called with the name of the open tab. */
export function openTabs(list, opened) {
  const tabs = [...list.querySelectorAll("button")];
  const panel = (tab) => document.getElementById(tab.getAttribute("aria-controls"));
  const nameOf = (tab) => tab.id.replace("tab-", "");

  const show = (open) => {
    for (const tab of tabs) {
      tab.setAttribute("aria-selected", String(tab === open));
      tab.tabIndex = tab === open ? 0 : -1;
      panel(tab).hidden = tab !== open;
    }
    opened(nameOf(open));
  };
  const named = () => tabs.find((tab) => `#${nameOf(tab)}` === location.hash) ?? tabs[0];
  const choose = (tab) => {
    if (tab !== named()) history.pushState(null, "", `#${nameOf(tab)}`);
    show(tab);
  };

  for (const tab of tabs) {
    panel(tab).setAttribute("role", "tabpanel");
    panel(tab).setAttribute("aria-labelledby", tab.id);
    tab.addEventListener("click", () => choose(tab));
  }
  list.addEventListener("keydown", (event) => {
    const to = KEYS[event.key]?.(tabs.indexOf(event.target));
    if (to === undefined) return;
    event.preventDefault();
    const tab = tabs.at(to % tabs.length);
    choose(tab);
    tab.focus();
  });
  for (const name of ["hashchange", "popstate"]) addEventListener(name, () => show(named()));
  list.hidden = false;
  show(named());
}
