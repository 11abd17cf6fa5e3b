// Pictures of the images to come, fetched ahead, so that the next one is shown at once.

import {picture} from "./api.js";

const mostKept = 40, atOnce = 3;

export class Pictures {
  constructor() {
    this.kept = new Map();  // by path, the last used at the end
    this.waiting = [];
    this.running = 0;
  }

  // A promise of a bitmap, or of an error to show in its place.
  load(path) {
    const found = this.kept.get(path) || this.begin(path);
    this.kept.delete(path);
    this.kept.set(path, found);
    for (const old of [...this.kept.keys()].slice(0, Math.max(0, this.kept.size - mostKept))) this.kept.delete(old);
    return found;
  }

  // Fetch these next, and nothing else that is only wanted later.
  prefetch(paths) {
    this.waiting = paths.filter(path => !this.kept.has(path));
    this.work();
  }

  begin(path) {
    const found = picture(path).then(bitmap => ({bitmap}), error => ({error}));
    found.then(({error}) => { if (error) this.kept.delete(path); });  // it may be there the next time
    return found;
  }

  work() {
    while (this.running < atOnce && this.waiting.length) {
      this.running++;
      this.load(this.waiting.shift()).then(() => { this.running--; this.work(); });
    }
  }
}
