"use strict";
// Everything on the page can be read without this: it adds the theme, search, filters and arrow keys.
{
  const root = document.documentElement;
  const themes = ["auto", "light", "dark"];
  const theme = document.getElementById("theme");
  const remembered = () => { try { return localStorage.getItem("kmr-theme"); } catch { return null; } };
  const paint = (name) => {
    if (name === "auto") delete root.dataset.theme; else root.dataset.theme = name;
    theme.textContent = `Theme: ${name}`;
    try { localStorage.setItem("kmr-theme", name); } catch { /* a page from a file may not keep anything */ }
  };
  paint(themes.includes(remembered()) ? remembered() : "auto");
  theme.hidden = false;
  theme.addEventListener("click", () => {
    paint(themes[(themes.indexOf(root.dataset.theme ?? "auto") + 1) % themes.length]);
  });

  // The text of a path, with what was searched for marked; never read as HTML.
  const mark = (place, words) => {
    const text = place.textContent;
    const at = words ? text.toLowerCase().indexOf(words) : -1;
    place.replaceChildren(text);
    if (at < 0) return;
    const marked = document.createElement("mark");
    marked.textContent = text.slice(at, at + words.length);
    place.replaceChildren(text.slice(0, at), marked, text.slice(at + words.length));
  };

  const lists = [...document.querySelectorAll("[data-searched]")].map((part) => {
    const tools = part.querySelector(".tools");
    const search = tools.querySelector("input");
    const chips = [...tools.querySelectorAll("button[data-state]")];
    const count = tools.querySelector("output");
    const items = [...part.querySelectorAll("[data-path]")].map((item) => ({
      item, states: (item.dataset.state ?? "").split("|"), path: item.dataset.path.toLowerCase(),
      name: item.querySelector(".path"),
    }));
    const companions = [...part.querySelectorAll("[data-with]")];
    tools.hidden = false;
    let before = null; // which were open when the filter began, to be put back when it ends
    const filter = () => {
      const words = search.value.trim().toLowerCase();
      const wanted = chips.filter((chip) => chip.ariaPressed === "true").map((chip) => chip.dataset.state);
      const some = words !== "" || wanted.length > 0;
      let found = 0;
      if (some && !before) before = items.map(({ item }) => item.querySelector(":scope > details")?.open);
      for (const { item } of items) item.hidden = some;
      for (const { item, states, path, name } of items) {
        const fits = path.includes(words) && (wanted.length === 0 || states.some((one) => wanted.includes(one)));
        mark(name, fits ? words : "");
        if (!fits) continue;
        found += 1;
        for (let above = item; above; above = above.parentElement.closest("[data-path]")) {
          above.hidden = false;
          const inside = above.querySelector(":scope > details");
          if (some && above !== item && inside) inside.open = true;
        }
      }
      for (const one of companions) one.hidden = document.getElementById(one.dataset.with).hidden;
      if (!some && before) {
        items.forEach(({ item }, at) => {
          const inside = item.querySelector(":scope > details");
          if (inside) inside.open = before[at];
        });
        before = null;
      }
      count.textContent = some ? `${found} of ${items.length} ${part.dataset.searched}` : "";
    };
    search.addEventListener("input", filter);
    search.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      search.value = "";
      filter();
    });
    for (const chip of chips) {
      chip.addEventListener("click", () => {
        chip.ariaPressed = chip.ariaPressed === "true" ? "false" : "true";
        filter();
      });
    }
    part.querySelector(".tree")?.addEventListener("keydown", walk);
    return {
      part, search,
      clear() {
        search.value = "";
        for (const chip of chips) chip.ariaPressed = "false";
        filter();
      },
    };
  });

  // Arrow keys go through the layers as through the files of a folder.
  function walk(event) {
    const here = document.activeElement;
    if (!here.matches("summary.row")) return;
    const all = [...event.currentTarget.querySelectorAll("summary.row")].filter((one) => one.checkVisibility());
    const at = all.indexOf(here);
    if (event.key === "ArrowDown") all[at + 1]?.focus();
    else if (event.key === "ArrowUp") all[at - 1]?.focus();
    else if (event.key === "ArrowRight") here.parentElement.open = true;
    else if (event.key === "ArrowLeft") here.parentElement.open = false;
    else return;
    event.preventDefault();
  }

  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || lists.length === 0 || event.target.matches("input")) return;
    event.preventDefault();
    lists[0].search.focus();
  });

  // On a small screen the layer that a picture is about comes first.
  for (const here of document.querySelectorAll(".flow .here")) {
    const view = here.closest(".scroll"), box = here.getBoundingClientRect(), frame = view.getBoundingClientRect();
    view.scrollLeft += box.left + box.width / 2 - frame.left - frame.width / 2;
  }

  // A link to a layer shows it, whatever is filtered out or closed.
  const reveal = () => {
    const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    lists.find((list) => list.part.contains(target))?.clear();
    for (let above = target; above; above = above.parentElement) if (above.matches("details")) above.open = true;
    const inside = target.querySelector(":scope > details");
    if (inside) {
      inside.open = true;
      inside.querySelector("summary").focus({ preventScroll: true });
    }
    target.scrollIntoView({ block: "center" });
  };
  addEventListener("hashchange", reveal);
  reveal();
}
