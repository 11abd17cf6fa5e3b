// What stands beside the image: the model's answer, the buttons, progress and the claim.

const element = id => document.getElementById(id);

function make(kind, text = "", name = "") {
  const made = document.createElement(kind);
  made.textContent = text;
  if (name) made.className = name;
  return made;
}

export function showModel(said, isShown) {
  const place = element("model");
  if (!said || !isShown) return place.replaceChildren(make("p", said ? "m shows what the model says." : "", "soft"));
  const reason = said.reason ? `, ${said.reason}` : "";
  const score = said.ood_score === null ? "" : ` Unlike training: ${said.ood_score.toFixed(1)}.`;
  const rows = Object.entries(said.probabilities).map(([name, share]) => {
    const row = make("div", "", "bar"), meter = make("meter");
    meter.value = share;
    row.append(make("span", name), meter, make("span", share.toFixed(2)));
    return row;
  });
  place.replaceChildren(make("p", `Model: ${said.decision}${reason}.${score}`, "soft"), ...rows);
}

export function showMine(item) {
  const mine = item && item.mine;
  const boxes = mine && mine.boxes.length ? `, ${mine.boxes.length} boxes` : "";
  element("mine").textContent = mine ? `Your answer: ${mine.label}${boxes}` : "";
  for (const button of element("labels").children) button.classList.toggle("mine", Boolean(mine) && button.value === mine.label);
}

export function makeButtons(entries, onLabel) {
  element("labels").replaceChildren(...entries.map(([key, label]) => {
    const button = make("button");
    button.type = "button";
    button.value = label;
    button.append(make("kbd", key), label);
    button.addEventListener("click", () => onLabel(label));
    return button;
  }));
}

export function makeHelp(classes) {
  const rows = [
    ...classes, ["u", "unsure"], ["z", "undo the last answer"], ["\u2190 \u2192", "the image before, the next one"],
    ["+ \u2212 0", "zoom in, zoom out, whole image"], ["Shift + arrows", "move the image"], ["[ ]", "less, more contrast"],
    ["h", "heatmap and places of the model"], ["m", "show or hide what the model says"], ["v", "drag draws boxes, or moves the image"],
    ["b", "take the model's places as boxes"], ["Backspace", "remove the last box"], ["g", "grid: several images at once"],
    ["Space, a", "in the grid: select one, select all"], ["?", "this list"],
  ];
  element("keys").replaceChildren(...rows.flatMap(([key, meaning]) => {
    const term = make("dt");
    term.append(make("kbd", key));
    return [term, make("dd", meaning)];
  }));
}

function claimInWords(claim) {
  const share = `${+(100 * claim.max_rate).toPrecision(3)} % of the ${claim.called_good} images that the model calls good`;
  const sure = `${+(100 * claim.confidence).toPrecision(3)} % confidence`;
  const found = `${claim.escapes} ${claim.escapes === 1 ? "escape" : "escapes"} found so far`;
  if (!claim.called_good) return "The model calls no image good.";
  if (claim.verdict === "claimed") return `At most ${share} are defective (${sure}; ${found}).`;
  if (claim.verdict === "refuted") return `More than ${share} are defective: ${found}.`;
  return `Review ${claim.more} more good ones (order: acceptance): if no more escapes are among them, at most ${share} are ` +
    `defective (${sure}; ${found}).`;
}

export function showProgress(found) {
  element("bar").value = found.answered / Math.max(found.images, 1);
  element("counts").textContent = `${found.answered} of ${found.images} (${found.mine} yours)`;
  element("claim").textContent = claimInWords(found.acceptance);
  const tally = Object.entries(found.labels).map(([name, count]) => `${name} ${count}`).join(", ");
  const unreadable = found.unreadable ? `; ${found.unreadable} cannot be read` : "";
  element("tally").textContent = (tally || "No answers yet") + unreadable;
  element("agreement").textContent = found.agreement.map(each =>
    `${each.reviewers.join(" and ")}: ${(100 * each.same).toFixed(0)} % the same in ${each.images} images` +
    (each.kappa === null ? "" : `, kappa ${each.kappa.toFixed(2)}`)).join("; ");
}
