"use strict";
{
  const rest = JSON.parse(document.getElementById("rest").textContent);
  const CHUNK = 500;

  const line = ([outcome, name, text]) => {
    const item = document.createElement("li");
    for (const [tag, words] of [["b", outcome], ["code", name], ["span", text]]) {
      const part = document.createElement(tag);
      part.textContent = words;
      if (tag === "b" && outcome) part.className = outcome;
      item.append(part);
    }
    return item;
  };

  // what the page was too long for: unfolded piece by piece, or as far as it matches the filter
  const lists = new Map();
  for (const more of document.querySelectorAll(".more[data-list]")) {
    const lines = rest[more.dataset.list] || [];
    const button = more.querySelector("button");
    const list = document.createElement("ol");
    let found = lines;
    let shown = 0;
    const label = () => {
      button.hidden = shown >= found.length;
      button.textContent = `show ${Math.min(CHUNK, found.length - shown).toLocaleString("en")} more`;
    };
    const unfold = () => {
      list.append(...found.slice(shown, shown + CHUNK).map(line));
      shown += CHUNK;
      label();
    };
    const reset = (wanted) => {
      found = wanted ? lines.filter((parts) => parts.join(" ").toLowerCase().includes(wanted)) : lines;
      list.replaceChildren();
      shown = 0;
      if (wanted) unfold();
      else label();
    };
    button.addEventListener("click", unfold);
    reset("");
    more.append(list);
    lists.set(more, reset);
  }

  for (const section of document.querySelectorAll("section[data-total]")) {
    if (Number(section.dataset.total) <= 25) continue;
    const field = document.createElement("input");
    field.type = "search";
    field.placeholder = `filter ${section.dataset.title}`;
    field.setAttribute("aria-label", field.placeholder);
    section.prepend(field);
    field.addEventListener("input", () => {
      const wanted = field.value.toLowerCase();
      const rows = section.querySelectorAll(".item, tbody > tr, :scope > .tree > li");
      for (const row of rows) row.hidden = !row.textContent.toLowerCase().includes(wanted);
      for (const [more, reset] of lists) if (section.contains(more)) reset(wanted);
    });
  }
}
