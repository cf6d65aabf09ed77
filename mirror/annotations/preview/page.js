"use strict";
(() => {
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  document.documentElement.classList.add("js");
  const boxes = all("input[data-of]");
  const chooser = document.getElementById("sequence");
  const cards = all(".card");
  const tracks = all(".track");
  const told = document.getElementById("told");
  const empty = document.getElementById("empty");

  function apply() {
    const wanted = new Set(boxes.filter((box) => box.checked).map((box) => box.dataset.of));
    const sequence = chooser ? chooser.value : "";
    let shown = 0;
    for (const card of cards) {
      const labels = card.dataset.labels ? card.dataset.labels.split(" ") : ["none"];
      const fits = labels.some((label) => wanted.has(label)) && (!sequence || card.dataset.sequence === sequence);
      card.classList.toggle("off", !fits);
      shown += fits;
    }
    for (const track of tracks) track.classList.toggle("off", !!sequence && track.dataset.sequence !== sequence);
    for (const one of all(".card [data-label], dialog [data-label]")) one.classList.toggle("off", !wanted.has(one.dataset.label));
    for (const one of all(".track [data-label]")) one.classList.toggle("faint", !wanted.has(one.dataset.label));
    if (told) told.textContent = `${shown.toLocaleString("en")} of ${cards.length.toLocaleString("en")} frames shown`;
    if (empty) empty.classList.toggle("off", shown > 0 || !cards.length);
  }

  function check(state) {
    for (const box of boxes) box.checked = state;
    apply();
  }

  for (const box of boxes) box.addEventListener("change", apply);
  chooser?.addEventListener("change", apply);
  document.getElementById("every")?.addEventListener("click", () => check(true));
  document.getElementById("none")?.addEventListener("click", () => check(false));

  const dialog = document.querySelector("dialog");
  let current = null;

  function show(card) {
    current = card;
    const picture = card.querySelector(".shot").cloneNode(true);
    dialog.querySelector(".stage").replaceChildren(picture);
    dialog.querySelector(".bar p").textContent = card.querySelector(".name").dataset.name;
    dialog.querySelector(".below").replaceChildren(card.querySelector(".tags").cloneNode(true));
    if (!dialog.open) dialog.showModal();
  }

  function step(by) {
    const visible = cards.filter((card) => !card.classList.contains("off"));
    const place = visible.indexOf(current);
    if (place >= 0) show(visible[(place + by + visible.length) % visible.length]);
  }

  if (dialog) {
    for (const card of cards) card.querySelector("button").addEventListener("click", () => show(card));
    document.getElementById("before").addEventListener("click", () => step(-1));
    document.getElementById("after").addEventListener("click", () => step(1));
    document.getElementById("close").addEventListener("click", () => dialog.close());
    dialog.addEventListener("keydown", (event) => {
      if (event.key === "ArrowLeft") step(-1);
      else if (event.key === "ArrowRight") step(1);
      else return;
      event.preventDefault();
    });
    dialog.addEventListener("close", () => {
      current?.querySelector("button").focus();
      dialog.querySelector(".stage").replaceChildren();
    });
  }
  apply();
})();
