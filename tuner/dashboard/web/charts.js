// The charts: SVG drawn at the width of their place, so that their text stays readable.

const SVG = "http://www.w3.org/2000/svg";
const SPACE = { top: 12, right: 16, bottom: 42, left: 58 };

/** Makes an element of SVG inside another one. */
function draw(parent, kind, attributes = {}, text) {
  const made = document.createElementNS(SVG, kind);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  parent.append(made);
  return made;
}

/** Starts a picture in a figure of the page, in place of the one before. */
function picture(id, height, { title, description, role = "img", least = 300 }) {
  const place = document.querySelector(`#${id} .plot`);
  const width = Math.max(least, place.clientWidth);
  const svg = document.createElementNS(SVG, "svg");
  const named = { role, "aria-labelledby": `${id}-title`, "aria-describedby": `${id}-told` };
  for (const [name, value] of Object.entries({ width, height, viewBox: `0 0 ${width} ${height}`, ...named }))
    svg.setAttribute(name, value);
  draw(svg, "title", { id: `${id}-title` }, title);
  draw(svg, "desc", { id: `${id}-told` }, description);
  place.replaceChildren(svg);
  return { svg, width, height };
}

/** Draws two axes; returns where values lie, and the picture. */
function plot(id, { x, y, across, up, height = 250, ...told }) {
  const { svg, width } = picture(id, height, told);
  const right = width - SPACE.right, bottom = height - SPACE.bottom;
  const X = (value) => SPACE.left + x.at(value) * (right - SPACE.left);
  const Y = (value) => bottom - y.at(value) * (bottom - SPACE.top);
  const axes = draw(svg, "g", { class: "axes" });
  let end = -Infinity;
  for (const tick of x.ticks) {
    const text = x.text(tick), room = text.length * 3.6;
    if (X(tick) - room < end) continue;
    end = X(tick) + room + 6;
    draw(axes, "line", { x1: X(tick), x2: X(tick), y1: bottom, y2: bottom + 4 });
    draw(axes, "text", { x: X(tick), y: bottom + 17, "text-anchor": "middle" }, text);
  }
  for (const tick of y.ticks) {
    draw(axes, "line", { class: "grid", x1: SPACE.left, x2: right, y1: Y(tick), y2: Y(tick) });
    draw(axes, "text", { x: SPACE.left - 7, y: Y(tick) + 4, "text-anchor": "end" }, y.text(tick));
  }
  draw(axes, "line", { x1: SPACE.left, x2: right, y1: bottom, y2: bottom });
  draw(axes, "text", { class: "label", x: (SPACE.left + right) / 2, y: height - 6, "text-anchor": "middle" }, across);
  const middle = (SPACE.top + bottom) / 2;
  draw(axes, "text", { class: "label", x: 12, y: middle, "text-anchor": "middle", transform: `rotate(-90 12 ${middle})` }, up);
  return { svg, X, Y, bottom, right };
}

/** Says in the place of a chart why there is none. */
function nothing(id, why) {
  const told = document.createElement("p");
  told.className = "soft";
  told.textContent = why;
  document.querySelector(`#${id} .plot`).replaceChildren(told);
}

/** Marks a trial: it can be clicked, is told by a tooltip, and follows the filters. */
function mark(parent, kind, trial, attributes, told) {
  const made = draw(parent, kind, { ...attributes, "data-trial": trial.index });
  draw(made, "title", {}, told);
  return made;
}

function path(points, stepped = false) {
  return points
    .map(([x, y], i) => {
      const place = `${x.toFixed(1)},${y.toFixed(1)}`;
      if (!i) return `M${place}`;
      return stepped ? `H${x.toFixed(1)}V${y.toFixed(1)}` : `L${place}`;
    })
    .join("");
}

function bestSoFar(trials) {
  const done = trials.filter((trial) => trial.score !== null);
  if (!done.length) return nothing("best", "No trial is completed yet.");
  const start = Math.min(...done.map((trial) => trial.started));
  const ends = done.map((trial) => ({ trial, at: (trial.started + (trial.seconds || 0) - start) / 60 }));
  ends.sort((a, b) => a.at - b.at);
  const hours = ends.at(-1).at > 180;
  for (const end of ends) end.at /= hours ? 60 : 1;
  const x = numberAxis(ends.map((end) => end.at), { zero: true });
  const y = numberAxis(done.map((trial) => trial.score), { room: 0.05 });
  const steps = [];
  for (const { trial, at } of ends)
    if (!steps.length || trial.score < steps.at(-1)[1]) steps.push([at, trial.score]);
  const [, lowest] = steps.at(-1);
  const { svg, X, Y } = plot("best", {
    x, y, across: hours ? "hours since the first trial began" : "minutes since the first trial began",
    up: "validation loss", title: "Best so far over time",
    description: `${done.length} completed trials; the best fell from ${figure(steps[0][1])} to ${figure(lowest)} in ${steps.length} steps.`,
  });
  for (const { trial, at } of ends)
    mark(svg, "circle", trial, { class: "dot", cx: X(at), cy: Y(trial.score), r: 3.5 }, `${trial.name}: ${figure(trial.score)}`);
  const line = [...steps, [ends.at(-1).at, lowest]].map(([at, score]) => [X(at), Y(score)]);
  draw(svg, "path", { class: "front", d: path(line, true) });
}

function learningCurves(trials) {
  const shown = trials.filter((trial) => trial.curve.length);
  if (!shown.length) return nothing("curves", "No trial has come to the end of an epoch yet.");
  const points = shown.flatMap((trial) => trial.curve);
  const x = numberAxis([1, ...points.map(([epoch]) => epoch)], { log: Infinity });
  x.ticks = x.ticks.filter(Number.isInteger);
  const y = numberAxis(points.map(([, loss]) => loss), { room: 0.04 });
  const { svg, X, Y } = plot("curves", {
    x, y, across: "epoch", up: "validation loss", title: "Learning curves",
    description: `Validation loss after each epoch of ${shown.length} trials; the best and the chosen trial are marked.`,
  });
  for (const trial of shown) {
    const line = trial.curve.map(([epoch, loss]) => [X(epoch), Y(loss)]);
    if (line.length === 1) mark(svg, "circle", trial, { class: "dot", cx: line[0][0], cy: line[0][1], r: 3 }, trial.name);
    else mark(svg, "path", trial, { class: "line", d: path(line) }, trial.name);
  }
}

function importanceBars({ rows, note, trials, explained, budget }) {
  const told = document.querySelector("#importance .told");
  told.textContent = rows.length
    ? `A forest that learnt from ${trials} trials explains ${figure(100 * explained, 2)} % of how others rank. A bar is what it loses when the values of one are shuffled; the thin line is ± one standard deviation over folds.`
      + (rows.some(([name]) => name === budget) ? ` “${budget}” is what a trial was granted, no hyper-parameter.` : "")
    : "";
  if (!rows.length) return nothing("importance", `Importance ${note}.`);
  const shown = rows.slice(0, 12), line = 22, left = 130;
  const { svg, width } = picture("importance", shown.length * line + 10, {
    title: "Importance of hyper-parameters",
    description: `Most important: ${shown.slice(0, 3).map(([name, mean]) => `${name} ${figure(mean, 2)}`).join(", ")}.`,
  });
  const most = Math.max(...shown.map(([, mean, spread]) => mean + spread)) || 1;
  const X = (value) => left + (Math.max(0, value) / most) * (width - left - 60);
  shown.forEach(([name, mean, spread], i) => {
    const y = i * line + 5;
    draw(svg, "text", { x: left - 8, y: y + 14, "text-anchor": "end" }, name);
    draw(svg, "rect", { class: "bar", x: left, y: y + 3, width: Math.max(1, X(mean) - left), height: line - 7 });
    draw(svg, "line", { class: "spread", x1: X(mean - spread), x2: X(mean + spread), y1: y + 10, y2: y + 10 });
    draw(svg, "text", { x: X(mean + spread) + 7, y: y + 14 }, figure(Math.max(0, Number(mean.toFixed(3))), 2));
  });
}

function byTrial(id, trials, of, { up, title }) {
  const shown = trials.filter((trial) => of(trial) !== null);
  if (!shown.length) return nothing(id, "Known when the first trial has ended.");
  const values = shown.map(of);
  const most = shown[values.indexOf(Math.max(...values))];
  const x = numberAxis([-0.5, trials.length - 0.5], { log: Infinity });
  x.ticks = rounded(0, trials.length - 1 || 1, 6).filter(Number.isInteger);
  x.text = (index) => (trials[index] ? String(trials[index].number) : "");
  const y = numberAxis(values, { zero: true });
  const { svg, X, Y, bottom } = plot(id, {
    x, y, across: "trial", up, title, height: 200,
    description: `${shown.length} trials; the most is ${figure(of(most), 3)} for ${most.name}.`,
  });
  const width = Math.max(1, (X(1) - X(0)) * 0.8);
  for (const trial of shown) {
    const top = Y(of(trial));
    mark(svg, "rect", trial, { class: `bar ${trial.status}`, x: X(trial.index) - width / 2, y: top, width, height: Math.max(1, bottom - top) },
      `${trial.name}: ${figure(of(trial), 3)}`);
  }
}

/** The trials that no other one beats in both error and latency, fastest first. */
function paretoFront(trials) {
  const sorted = [...trials].sort((a, b) => a.milliseconds - b.milliseconds || a.error - b.error);
  const front = [];
  for (const trial of sorted) if (!front.length || trial.error < front.at(-1).error) front.push(trial);
  return front;
}

function pareto(trials) {
  const shown = trials.filter((trial) => trial.error !== null && trial.milliseconds !== null);
  if (!shown.length) return nothing("pareto", "No completed trial has both figures yet.");
  const front = paretoFront(shown);
  const x = numberAxis(shown.map((trial) => trial.milliseconds), { zero: true, room: 0.05 });
  const y = numberAxis(shown.map((trial) => trial.error), { zero: true, room: 0.05 });
  const { svg, X, Y } = plot("pareto", {
    x, y, across: "milliseconds a slice", up: "validation error, %", title: "Error against latency",
    description: `No trial beats these ${front.length} in both: ${front.slice(0, 8).map((one) => `${one.name} (${figure(one.error, 3)} %, ${figure(one.milliseconds, 3)} ms)`).join(", ")}.`,
  });
  draw(svg, "path", { class: "front", d: path(front.map((one) => [X(one.milliseconds), Y(one.error)]), true) });
  for (const trial of shown)
    mark(svg, "circle", trial, { class: front.includes(trial) ? "dot best" : "dot", cx: X(trial.milliseconds), cy: Y(trial.error), r: front.includes(trial) ? 5 : 3.5 },
      `${trial.name}: ${figure(trial.error, 3)} %, ${figure(trial.milliseconds, 3)} ms`);
}
