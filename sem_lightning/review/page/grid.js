// Several images at once: a cursor, a selection, and one key for all that are selected.

export class Grid {
  constructor(place, pictures) {
    this.place = place;
    this.pictures = pictures;
    this.items = [];
    this.here = 0;
  }

  show(items) {
    this.items = items;
    this.here = 0;
    this.place.replaceChildren(...items.map((item, at) => this.cell(item, at)));
    this.mark();
  }

  cell(item, at) {
    const figure = document.createElement("figure"), canvas = document.createElement("canvas");
    const caption = document.createElement("p");
    canvas.width = canvas.height = 256;
    caption.textContent = item.error || (item.said ? item.said.decision : item.name);
    figure.title = item.name;
    figure.id = `cell-${at}`;
    figure.setAttribute("role", "option");
    figure.setAttribute("aria-selected", "false");
    figure.append(canvas, caption);
    figure.addEventListener("click", () => { this.here = at; this.toggle(); });
    if (!item.error)
      this.pictures.load(`picture/${item.id}?small=1`).then(({bitmap, error}) => {
        item.isShown = !error;
        if (error) { caption.textContent = error.message; return; }
        const scale = Math.min(256 / bitmap.width, 256 / bitmap.height);
        const wide = bitmap.width * scale, high = bitmap.height * scale;
        canvas.getContext("2d").drawImage(bitmap, (256 - wide) / 2, (256 - high) / 2, wide, high);
        figure.dataset.image = item.id;
      });
    return figure;
  }

  get columns() {
    return getComputedStyle(this.place).gridTemplateColumns.split(" ").length;
  }

  move(by) {
    this.here = Math.min(Math.max(this.here + by, 0), this.items.length - 1);
    this.mark();
  }

  toggle() {
    const cell = this.place.children[this.here];
    if (cell) cell.setAttribute("aria-selected", String(cell.getAttribute("aria-selected") !== "true"));
    this.mark();
  }

  toggleAll() {
    const cells = [...this.place.children], all = cells.every(cell => cell.getAttribute("aria-selected") === "true");
    for (const cell of cells) cell.setAttribute("aria-selected", String(!all));
  }

  mark() {
    [...this.place.children].forEach((cell, at) => cell.classList.toggle("here", at === this.here));
    this.place.setAttribute("aria-activedescendant", `cell-${this.here}`);
    this.place.children[this.here]?.scrollIntoView({block: "nearest"});
  }

  // Those that are selected, or the one under the cursor.
  get chosen() {
    const selected = this.items.filter((item, at) => this.place.children[at].getAttribute("aria-selected") === "true");
    return selected.length ? selected : this.items.slice(this.here, this.here + 1);
  }
}
