// The page: reads its data, keeps what the reader chose, and stays up to date.

// Milliseconds between two looks; loading a file of thousands of trials again takes some.
const EVERY = location.protocol === "file:" ? 20000 : 5000;
const QUIET = 3600; // seconds without a change after which a file is no longer looked at

let data, trials, axes, columns;
let paintAxes = () => {};
const key = `mri-contrast search ${document.body.dataset.search}`;
const state = {
  sort: { key: "score", down: false }, brushes: {}, chosen: null, paused: false, all: false,
  focus: null, scroll: null, ...remembered(),
};

function remembered() {
  try {
    return JSON.parse(sessionStorage.getItem(key)) || {};
  } catch {
    return {}; // a browser that forbids it: the page works, and begins anew each time
  }
}

function remember() {
  const table = document.getElementById("trials");
  state.scroll = [scrollX, scrollY, table.scrollLeft, table.scrollTop];
  state.focus = document.activeElement?.id || null;
  try {
    sessionStorage.setItem(key, JSON.stringify(state));
  } catch {
    // As above.
  }
}

function understand(text) {
  data = JSON.parse(text);
  const { fields } = data;
  trials = fields.name.map((name, index) => {
    const trial = { index, curve: data.curves[index] };
    for (const field of Object.keys(fields)) trial[field] = fields[field][index];
    trial.error = trial.accuracy === null ? null : 100 * (1 - trial.accuracy);
    trial.number = Number(/\d+$/.exec(name)?.[0] ?? index);
    return trial;
  });
  columns = columnsOf(data.values);
  axes = coordinates(trials, data.values);
  for (const name of Object.keys(state.brushes)) {
    const one = axes.find((axis) => axis.name === name);
    const known = (value) => value === null || !Number.isNaN(one.axis.at(value));
    if (!one || !known(state.brushes[name].low) || !known(state.brushes[name].high)) delete state.brushes[name];
  }
}

function best() {
  const done = trials.filter((trial) => trial.score !== null);
  return done.length ? done.reduce((a, b) => (b.score < a.score ? b : a)) : null;
}

/** The figures at the head. */
function head() {
  const count = (status) => trials.filter((trial) => trial.status === status).length;
  const running = count("running"), ended = trials.length - running;
  const winner = best();
  const say = (id, text) => (document.getElementById(id).textContent = text);
  say("count-completed", count("completed"));
  say("count-running", running);
  say("count-failed", count("failed"));
  say("count-rejected", count("rejected"));
  say("best-score", winner ? figure(winner.score) : "–");
  say("best-name", winner ? `lowest validation loss, ${winner.name}` : "no trial is completed yet");
  say("time", duration(trials.reduce((sum, trial) => sum + (trial.seconds || 0), 0)));
  const status = !trials.length ? "No trial yet"
    : running ? `${running} ${running === 1 ? "trial is" : "trials are"} running`
    : data.planned && ended >= data.planned ? "Finished" : "No trial is running";
  say("status", status + (data.planned ? `, ${trials.length} of at most ${data.planned} trials begun` : ""));
  age();
}

function age() {
  const seconds = Math.max(0, Date.now() / 1000 - data.changed);
  document.getElementById("age").textContent = `last change ${duration(seconds)} ago`;
}

/** Draws everything from new data, or for another width. */
function drawAll() {
  const focus = document.activeElement?.id;
  head();
  tableHead(columns, trials, sortBy);
  paintAxes = parallel(trials, axes, brush);
  bestSoFar(trials);
  learningCurves(trials);
  importanceBars(data.importance);
  pareto(trials);
  byTrial("seconds", trials, (trial) => trial.seconds, { up: "seconds", title: "Time by trial" });
  byTrial("memory", trials, (trial) => trial.memory_mib, { up: "peak MiB", title: "Memory by trial" });
  paint();
  if (focus) document.getElementById(focus)?.focus({ preventScroll: true });
}

/** Shows what the reader chose, on what is drawn. */
function paint() {
  const kept = trials.filter((trial) => matches(trial, axes, state.brushes));
  const names = new Set(kept.map((trial) => trial.index)), winner = best();
  const focus = document.activeElement?.id;
  paintAxes(state.brushes);
  tableRows(kept, columns, state, choose);
  for (const element of document.querySelectorAll("[data-trial]")) {
    const trial = trials[element.dataset.trial];
    element.classList.toggle("out", !names.has(trial.index));
    element.classList.toggle("winner", trial === winner);
    element.classList.toggle("chosen", trial.name === state.chosen);
  }
  // What is marked lies above what is not.
  for (const element of document.querySelectorAll("path.winner, path.chosen")) element.parentNode.append(element);
  document.getElementById("kept").textContent = kept.length === trials.length
    ? `All ${trials.length} trials` : `${kept.length} of ${trials.length} trials match the filters`;
  document.getElementById("clear").disabled = !Object.keys(state.brushes).length;
  const chosen = trials.find((trial) => trial.name === state.chosen);
  document.getElementById("chosen").textContent = chosen ? described(chosen) : "";
  if (focus && document.activeElement?.id !== focus) document.getElementById(focus)?.focus({ preventScroll: true });
}

function described(trial) {
  const known = Object.entries(data.values).map(([name, column]) => [name, column[trial.index]]).filter(([, value]) => value !== null);
  return `${trial.name}, ${trial.status}${trial.score === null ? "" : `, validation loss ${figure(trial.score)}`}`
    + `${trial.message ? `: ${trial.message}` : ""}; ${known.map(([name, value]) => `${name} ${figure(value)}`).join(", ")}`;
}

function sortBy(column) {
  const same = state.sort.key === column;
  state.sort = { key: column, down: same && !state.sort.down };
  paint();
}

function brush(name, value) {
  if (value) state.brushes[name] = value;
  else delete state.brushes[name];
  paint();
}

function choose(trial) {
  state.chosen = state.chosen === trial.name ? null : trial.name;
  paint();
}

async function refresh() {
  age();
  if (state.paused || document.hidden) return;
  if (location.protocol === "file:") {
    // A file cannot be fetched: the page loads itself again, and finds what was chosen.
    if (Date.now() / 1000 - data.changed < QUIET) location.reload();
    return;
  }
  const answer = await fetch(location.href, { cache: "no-store" }).catch(() => null);
  const told = document.getElementById("lost");
  told.hidden = Boolean(answer?.ok);
  if (!answer?.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const found = page.getElementById("data").textContent, here = document.getElementById("data");
  if (found === here.textContent) return;
  here.textContent = found;
  understand(found);
  drawAll();
}

function pause(on) {
  state.paused = on;
  document.getElementById("pause").setAttribute("aria-pressed", on);
}

understand(document.getElementById("data").textContent);
drawAll();
pause(state.paused);
if (state.scroll) {
  scrollTo(state.scroll[0], state.scroll[1]);
  document.getElementById("trials").scrollTo(state.scroll[2], state.scroll[3]);
}
if (state.focus) document.getElementById(state.focus)?.focus({ preventScroll: true });

document.getElementById("pause").addEventListener("click", () => pause(!state.paused));
document.getElementById("clear").addEventListener("click", () => {
  state.brushes = {};
  paint();
});
document.getElementById("all").addEventListener("click", () => {
  state.all = true;
  paint();
});
document.getElementById("trials").addEventListener("keydown", tableKeys);
document.querySelector("main").addEventListener("click", (event) => {
  const element = event.target.closest("svg [data-trial]");
  if (element) choose(trials[element.dataset.trial]);
});
let drawn = innerWidth;
addEventListener("resize", () => {
  if (drawn === innerWidth) return; // a phone's address bar changes only the height
  drawn = innerWidth;
  drawAll();
});
addEventListener("pagehide", remember);
setInterval(refresh, EVERY);
