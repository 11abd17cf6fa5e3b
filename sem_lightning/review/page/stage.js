// The image with zoom, pan, contrast, heatmap, and boxes that are drawn by dragging.

const mostZoom = 64, shortestBox = 3;  // of the fitting scale; pixels of the screen

export class Stage {
  constructor(place, onBox) {
    this.place = place;
    this.onBox = onBox;
    [this.image, this.marks] = place.querySelectorAll("canvas");
    this.moves = !matchMedia("(pointer: fine)").matches;  // a finger moves the image, a mouse draws
    this.contrast = 1;
    this.showsHeat = false;
    this.pointers = new Map();
    this.clear();
    new ResizeObserver(() => this.fit()).observe(place);
    this.marks.addEventListener("wheel", event => this.onWheel(event), {passive: false});
    this.marks.addEventListener("pointerdown", event => this.onDown(event));
    this.marks.addEventListener("pointermove", event => this.onMove(event));
    for (const kind of ["pointerup", "pointercancel"]) this.marks.addEventListener(kind, event => this.onUp(event));
  }

  clear() {
    Object.assign(this, {bitmap: null, heat: null, boxes: [], places: [], width: 0, height: 0, seenHeight: 0, drawn: null});
  }

  // `said` is what the model says of the image, whose sizes are those of the file; the bitmap may be smaller.
  show(bitmap, said, boxes) {
    this.clear();
    this.bitmap = bitmap;
    this.width = said ? said.width : bitmap.width;
    this.seenHeight = said ? said.height : bitmap.height;
    this.height = this.seenHeight + (said ? said.data_bar_rows : 0);
    this.places = said ? said.places : [];
    this.boxes = boxes;
    this.fit();
  }

  empty() {
    this.clear();
    this.draw();
  }

  fit() {
    const {clientWidth: wide, clientHeight: high} = this.place;
    this.least = Math.min(wide / (this.width || 1), high / (this.height || 1)) * 0.98 || 1;
    this.scale = this.least;
    this.x = (wide - this.width * this.scale) / 2;
    this.y = (high - this.height * this.scale) / 2;
    this.draw();
  }

  zoom(factor, x = this.place.clientWidth / 2, y = this.place.clientHeight / 2) {
    const scale = Math.min(Math.max(this.scale * factor, this.least / 4), this.least * mostZoom);
    this.x = x - (x - this.x) * scale / this.scale;
    this.y = y - (y - this.y) * scale / this.scale;
    this.scale = scale;
    this.draw();
  }

  pan(dx, dy) {
    this.x += dx;
    this.y += dy;
    this.draw();
  }

  changeContrast(factor) {
    this.contrast = Math.min(Math.max(this.contrast * factor, 0.25), 8);
    this.image.style.filter = `contrast(${this.contrast})`;
  }

  draw() {
    const density = devicePixelRatio || 1;
    const [plain, over] = [this.image, this.marks].map(canvas => {
      canvas.width = Math.round(this.place.clientWidth * density);
      canvas.height = Math.round(this.place.clientHeight * density);
      const pen = canvas.getContext("2d");
      pen.setTransform(density, 0, 0, density, 0, 0);
      return pen;
    });
    this.marks.classList.toggle("moves", this.moves);
    if (!this.bitmap) return;
    plain.imageSmoothingEnabled = this.scale * this.width < this.bitmap.width;
    plain.drawImage(this.bitmap, this.x, this.y, this.width * this.scale, this.height * this.scale);
    if (this.heat && this.showsHeat) {
      over.drawImage(this.heat, this.x, this.y, this.width * this.scale, this.seenHeight * this.scale);
    }
    if (this.showsHeat) this.frame(over, this.places, "#ffd84d", [5, 4]);
    this.frame(over, this.boxes, "#4de1ff", []);
    if (this.drawn) this.frame(over, [this.drawn], "#ffffff", []);
  }

  frame(pen, boxes, colour, dashes) {
    pen.strokeStyle = colour;
    pen.lineWidth = 2;
    pen.setLineDash(dashes);
    for (const box of boxes)
      pen.strokeRect(this.x + box.x * this.scale, this.y + box.y * this.scale, box.width * this.scale, box.height * this.scale);
  }

  // Where an event is, in pixels of the file.
  at(event) {
    const edge = this.marks.getBoundingClientRect();
    const clip = (value, most) => Math.min(Math.max(value, 0), most);
    return [clip((event.clientX - edge.left - this.x) / this.scale, this.width),
            clip((event.clientY - edge.top - this.y) / this.scale, this.height)];
  }

  onWheel(event) {
    event.preventDefault();
    const edge = this.marks.getBoundingClientRect();
    this.zoom(Math.exp(-event.deltaY / 400), event.clientX - edge.left, event.clientY - edge.top);
  }

  onDown(event) {
    if (!this.bitmap) return;
    this.marks.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, event);
    this.start = this.moves || event.shiftKey || event.button === 1 || this.pointers.size > 1 ? null : this.at(event);
    this.drawn = null;
  }

  onMove(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    if (this.pointers.size === 2) this.pinch(before, event);
    else if (this.start) this.drawn = this.boxTo(event);
    else this.pan(event.clientX - before.clientX, event.clientY - before.clientY);
    this.pointers.set(event.pointerId, event);
    this.draw();
  }

  onUp(event) {
    this.pointers.delete(event.pointerId);
    const box = this.drawn;
    this.drawn = this.start = null;
    const isWhole = box && Math.min(box.width, box.height) * this.scale >= shortestBox;
    if (event.type === "pointerup" && isWhole) this.onBox(box);
    this.draw();
  }

  pinch(before, event) {
    const [other] = [...this.pointers].filter(([id]) => id !== event.pointerId).map(([, each]) => each);
    const gap = each => Math.hypot(each.clientX - other.clientX, each.clientY - other.clientY);
    const edge = this.marks.getBoundingClientRect();
    this.zoom(gap(event) / Math.max(gap(before), 1), (event.clientX + other.clientX) / 2 - edge.left,
              (event.clientY + other.clientY) / 2 - edge.top);
  }

  boxTo(event) {
    const [x, y] = this.at(event), [x0, y0] = this.start;
    const left = Math.floor(Math.min(x, x0)), top = Math.floor(Math.min(y, y0));
    return {x: left, y: top, width: Math.max(1, Math.ceil(Math.max(x, x0)) - left),
            height: Math.max(1, Math.ceil(Math.max(y, y0)) - top)};
  }
}
