// The review: which image is shown, and what a key does. An answer is on the disk before the next image is shown.

import {browser, get, post, random, useKey, useSession} from "./api.js";
import {Grid} from "./grid.js";
import {makeButtons, makeHelp, showMine, showModel, showProgress} from "./panel.js";
import {Pictures} from "./pictures.js";
import {Stage} from "./stage.js";

const ahead = 8, cells = 24, unsure = "unsure", good = "good";
const element = id => document.getElementById(id);

const pictures = new Pictures();
const stage = new Stage(element("stage"), box => { if (current) addBoxes([box]); });
const grid = new Grid(element("many"), pictures);
const labelOfKey = new Map();
let upcoming = [], past = [], future = [], skipped = [], current = null;
let work = null, isGrid = false, showsModel = true, pending = null, filling = null;

const reviewer = () => element("reviewer").value.trim();
const say = text => { element("said").textContent = text; };

// ---- which image is shown -------------------------------------------------------------------------------------------

async function ask(count, leave) {
  const query = {reviewer: reviewer(), browser, strategy: element("strategy").value, count, leave: leave.join(",")};
  return (await get("next", query)).images;
}

async function fill() {
  const asked = upcoming;
  const known = [...upcoming, ...(current ? [current] : [])].map(item => item.id);
  const found = await ask(ahead - upcoming.length, [...known, ...skipped].slice(0, 2000));
  if (upcoming !== asked) return false;  // the order has changed meanwhile
  const ids = new Set(upcoming.map(item => item.id));
  upcoming.push(...found.filter(item => !ids.has(item.id)));
  pictures.prefetch(upcoming.filter(item => !item.error).map(item => `picture/${item.id}`));
  return true;
}

async function refill() {
  let isFilled = upcoming.length > ahead / 2;
  while (!isFilled) {
    filling ??= fill().finally(() => { filling = null; });
    isFilled = await filling;
  }
}

async function show(item) {
  current = item;
  element("name").textContent = item ? item.name : "Nothing is left in this order";
  showModel(item && item.said, showsModel);
  showMine(item);
  element("fault").textContent = item && item.error ? item.error + "; u answers unsure, \u2192 goes on" : "";
  if (!item || item.error) stage.empty();
  else {
    const {bitmap, error} = await pictures.load(`picture/${item.id}`);
    if (current !== item) return;
    item.fault = error ? error.message : "";
    if (error) {
      stage.empty();
      element("fault").textContent = error.message + "; u answers unsure, \u2192 goes on";
    } else stage.show(bitmap, item.said, item.mine ? [...item.mine.boxes] : []);
  }
  element("stage").dataset.image = item ? item.id : "none";
  if (item && !item.error && stage.showsHeat) await loadHeat(item);
}

async function loadHeat(item) {
  const {bitmap} = await pictures.load(`heatmap/${item.id}`);
  if (current !== item || !bitmap) return;
  stage.heat = bitmap;
  stage.draw();
}

async function next() {
  if (!future.length && !upcoming.length) await refill();
  if (!future.length && !upcoming.length && skipped.length) {  // those that were passed over come again
    skipped = [];
    await refill();
  }
  if (current) past.push(current);
  await show(future.pop() || upcoming.shift() || null);
  refill().catch(error => say(error.message));
}

async function previous() {
  if (!past.length) return say("This is the first image since the page was opened.");
  if (current) future.push(current);
  await show(past.pop());
}

async function restart() {
  [upcoming, past, future, skipped, current] = [[], [], [], [], null];
  say("");
  if (isGrid) await fillGrid(); else await next();
  refreshSoon();
}

async function fillGrid() {
  grid.show(await ask(cells, skipped));
  showModel(null, false);
  element("name").textContent = grid.items.length ? `${grid.items.length} images` : "Nothing is left in this order";
  element("mine").textContent = "";
}

function refreshSoon() {
  get("progress", {reviewer: reviewer()}).then(showProgress, error => say(error.message));
}

// ---- what a person says ---------------------------------------------------------------------------------------------

// The same answer that could not be stored is sent with the same token, so that it is never stored twice.
async function store(path, content) {
  const text = JSON.stringify([path, content]);
  if (!pending || pending.text !== text) pending = {text, token: random()};
  const found = await post(path, {...content, token: pending.token});
  pending = null;
  say("");
  return found;
}

async function answer(label) {
  if (isGrid) return answerGrid(label);
  if (!current) return restart();
  if ((current.error || current.fault) && label !== unsure) return say("An image that cannot be shown has no class; u answers unsure.");
  const boxes = [...stage.boxes];  // one that is drawn while these are stored is not of this answer
  if (boxes.length && [good, unsure].includes(label)) return say(`An image that is ${label} has no boxes; Backspace removes the last one.`);
  const item = current;
  await store("answers", {reviewer: reviewer(), answers: [{id: item.id, label, boxes}]});
  item.mine = {label, boxes};
  await next();
  refreshSoon();
}

async function answerGrid(label) {
  const chosen = grid.chosen.filter(item => label === unsure || item.isShown);
  if (!chosen.length) return say("No image that can be shown is selected.");
  await store("answers", {reviewer: reviewer(), answers: chosen.map(item => ({id: item.id, label, boxes: []}))});
  const left = grid.items.filter(item => !chosen.includes(item));
  if (left.length) grid.show(left); else await fillGrid();
  refreshSoon();
}

async function undo() {
  const {images} = await store("undo", {reviewer: reviewer()});
  if (!images.length) say("There is no answer of yours to undo.");
  else if (isGrid) grid.show([...images, ...grid.items]);
  else {
    const ids = new Set(images.map(item => item.id));
    if (current && !ids.has(current.id)) future.push(current);
    [past, future, upcoming] = [past, future, upcoming].map(list => list.filter(item => !ids.has(item.id)));
    future.push(...images.slice(1).reverse());
    await show(images[0]);
  }
  refreshSoon();
}

async function skip() {
  if (!current) return restart();
  if (!current.mine) skipped.push(current.id);
  await next();
}

function addBoxes(boxes) {
  stage.boxes.push(...boxes.map(({x, y, width, height}) => ({x, y, width, height})));
  stage.draw();
}

// ---- keys -----------------------------------------------------------------------------------------------------------

async function toggleHeat() {
  stage.showsHeat = !stage.showsHeat;
  element("heat").setAttribute("aria-pressed", String(stage.showsHeat));
  if (stage.showsHeat && current && !current.error) await loadHeat(current);
  stage.draw();
}

async function toggleGrid() {
  isGrid = !isGrid;
  element("to-grid").setAttribute("aria-pressed", String(isGrid));
  element("single").hidden = isGrid;
  element("many").hidden = !isGrid;
  await restart();
}

function toggleTool() {
  stage.moves = !stage.moves;
  element("tool").textContent = stage.moves ? "Move" : "Box";
  stage.draw();
}

// These change which image is shown; while one of them is at work, another would be about an image that nobody has seen.
const alone = action => async (...given) => {
  if (work) return;
  work = action(...given);
  try { await work; } finally { work = null; }
};
// Another order or reviewer is never dropped, but waits.
async function startAgain() {
  while (work) await work.catch(() => {});
  await alone(restart)();
}
const tell = alone(answer);
const everywhere = {
  z: alone(undo),
  g: alone(toggleGrid),
  u: () => tell(unsure),
  m: () => { showsModel = !showsModel; showModel(current && current.said, showsModel); },
  "?": () => element("help").showModal(),
};
const onStage = {
  ArrowLeft: alone(previous),
  ArrowRight: alone(skip),
  h: toggleHeat,
  v: toggleTool,
  b: () => { if (current && current.said) addBoxes(current.said.places); },
  Backspace: () => { stage.boxes.pop(); stage.draw(); },
  "+": () => stage.zoom(1.5),
  "=": () => stage.zoom(1.5),
  "-": () => stage.zoom(1 / 1.5),
  0: () => stage.fit(),
  "[": () => stage.changeContrast(1 / 1.25),
  "]": () => stage.changeContrast(1.25),
  "Shift+ArrowLeft": () => stage.pan(60, 0),
  "Shift+ArrowRight": () => stage.pan(-60, 0),
  "Shift+ArrowUp": () => stage.pan(0, 60),
  "Shift+ArrowDown": () => stage.pan(0, -60),
};
const onGrid = {
  ArrowLeft: () => grid.move(-1),
  ArrowRight: () => grid.move(1),
  ArrowUp: () => grid.move(-grid.columns),
  ArrowDown: () => grid.move(grid.columns),
  " ": () => grid.toggle(),
  a: () => grid.toggleAll(),
};

function actionOf(key) {
  const label = labelOfKey.get(key);
  return label ? () => tell(label) : (isGrid ? onGrid : onStage)[key] || everywhere[key];
}

async function tellErrors(action) {
  try { await action(); } catch (error) { say(error.message); }
}

const press = key => tellErrors(actionOf(key) || (() => {}));

function onKey(event) {
  const isTyping = event.target.matches("input, select, textarea") || element("help").open;
  if (isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
  const isButton = event.target.matches("button, summary") && [" ", "Enter"].includes(event.key);
  const key = event.shiftKey && event.key.startsWith("Arrow") ? "Shift+" + event.key : event.key;
  if (isButton || !actionOf(key)) return;
  event.preventDefault();
  const repeats = key.includes("Arrow") || "+-[]".includes(key);
  if (!event.repeat || repeats) press(key);
}

// ---- start ----------------------------------------------------------------------------------------------------------

async function open() {
  let session;
  try { session = await get("session"); } catch (error) {
    element("unlock").hidden = error.status !== 401;
    if (error.status !== 401) { element("app").hidden = false; say(error.message); }
    return error.message;
  }
  useSession(session.identity);
  element("unlock").hidden = true;
  element("app").hidden = false;
  document.title = `sem-review, ${session.model.split(" ")[0]}`;
  const entries = session.classes.map((name, at) => [session.keys[at], name]);
  for (const [key, name] of entries) labelOfKey.set(key, name);
  makeButtons([...entries, ["u", unsure]], label => press(label === unsure ? "u" : entries.find(([, name]) => name === label)[0]));
  makeHelp(entries);
  element("strategy").replaceChildren(...session.strategies.map(name => new Option(name)));
  element("strategy").value = session.strategy;
  element("reviewer").value = localStorage.getItem("sem-review-reviewer") || session.reviewer;
  if (stage.moves) element("tool").textContent = "Move";
  if (matchMedia("(max-width: 700px)").matches) element("more").open = false;
  await tellErrors(startAgain);
}

element("unlock").addEventListener("submit", async event => {
  event.preventDefault();
  useKey(element("key").value);
  element("refused").textContent = await open() || "";
});
element("strategy").addEventListener("change", event => { event.target.blur(); tellErrors(startAgain); });
element("reviewer").addEventListener("change", event => {
  localStorage.setItem("sem-review-reviewer", reviewer());
  event.target.blur();
  tellErrors(startAgain);
});
element("to-grid").addEventListener("click", () => press("g"));
element("to-help").addEventListener("click", () => press("?"));
for (const button of element("tools").children) button.addEventListener("click", () => press(button.dataset.key));
document.addEventListener("keydown", onKey);
open();
