// The table of trials: sorted by any column, moved through by arrow keys.

const SHOWN = 200; // rows, until all are asked for

/** The columns: figures first, then hyper-parameters. */
function columnsOf(values) {
  const figures = [
    ["status", "status", (t) => t.status],
    ["score", "validation loss", (t) => t.score],
    ["accuracy", "accuracy, %", (t) => (t.accuracy === null ? null : 100 * t.accuracy)],
    ["milliseconds", "ms a slice", (t) => t.milliseconds],
    ["parameters", "parameters", (t) => t.parameters],
    ["epochs", "epochs", (t) => t.epochs],
    ["seconds", "seconds", (t) => (t.seconds === null ? null : Math.round(t.seconds))],
    ["memory", "memory, MiB", (t) => (t.memory_mib === null ? null : Math.round(t.memory_mib))],
    ["worker", "worker", (t) => t.worker],
  ];
  return [
    ["name", "trial", (t) => t.name],
    ...figures,
    ...Object.keys(values).map((name) => [`value-${name}`, name, (t) => values[name][t.index]]),
    ["message", "reason", (t) => t.message || null],
  ].map(([key, label, of]) => ({ key, label, of }));
}

/** Sorts trials by a column; those without a value come last either way. */
function sorted(trials, { of }, down) {
  const sign = down ? -1 : 1;
  return [...trials].sort((a, b) => {
    const [x, y] = [of(a), of(b)];
    if (x === null || y === null) return (x === null) - (y === null) || a.index - b.index;
    if (typeof x === "number" && typeof y === "number") return sign * (x - y) || a.index - b.index;
    return sign * String(x).localeCompare(String(y), "en", { numeric: true }) || a.index - b.index;
  });
}

/** Draws the head of the table; `sort(key)` is told what the reader chose. */
function tableHead(columns, trials, sort) {
  const words = new Set(columns.filter(({ of }) => trials.some((t) => typeof of(t) === "string")).map(({ key }) => key));
  const row = document.createElement("tr");
  for (const { key, label } of columns) {
    const cell = document.createElement("th");
    cell.scope = "col";
    cell.dataset.key = key;
    if (words.has(key)) cell.className = "word";
    const button = document.createElement("button");
    button.type = "button";
    button.id = `sort-${key}`;
    button.textContent = label;
    button.addEventListener("click", () => sort(key));
    cell.append(button);
    row.append(cell);
  }
  document.querySelector("#trials thead").replaceChildren(row);
}

/** Draws the rows, and what is chosen and sorted. */
function tableRows(trials, columns, state, choose) {
  for (const cell of document.querySelectorAll("#trials th[data-key]")) {
    if (cell.dataset.key === state.sort.key) cell.setAttribute("aria-sort", state.sort.down ? "descending" : "ascending");
    else cell.removeAttribute("aria-sort");
  }
  const column = columns.find(({ key }) => key === state.sort.key) || columns[0];
  const rows = sorted(trials, column, state.sort.down);
  const shown = state.all ? rows : rows.slice(0, SHOWN);
  const entry = shown.find((trial) => trial.name === state.chosen) || shown[0];
  const body = document.createDocumentFragment();
  for (const trial of shown) {
    const row = document.createElement("tr");
    row.dataset.trial = trial.index;
    for (const { key, of } of columns) {
      const value = of(trial);
      if (key !== "name") {
        const cell = document.createElement("td");
        cell.textContent = figure(value);
        if (typeof value === "string") cell.className = "word";
        row.append(cell);
        continue;
      }
      const cell = document.createElement("th");
      cell.scope = "row";
      const button = document.createElement("button");
      button.type = "button";
      button.id = `pick-${trial.name}`;
      button.textContent = trial.name;
      button.tabIndex = trial === entry ? 0 : -1;
      button.setAttribute("aria-pressed", trial.name === state.chosen);
      button.addEventListener("click", () => choose(trial));
      cell.append(button);
      row.append(cell);
    }
    body.append(row);
  }
  document.querySelector("#trials tbody").replaceChildren(body);
  const more = document.getElementById("all");
  more.hidden = shown.length === rows.length;
  more.textContent = `Show all ${rows.length} rows`;
}

/** Moves between the rows' buttons: one of them is in the order of the Tab key. */
function tableKeys(event) {
  const buttons = [...document.querySelectorAll("#trials tbody button")];
  const from = buttons.indexOf(document.activeElement);
  const to = { ArrowDown: from + 1, ArrowUp: from - 1, Home: 0, End: buttons.length - 1 }[event.key];
  if (from < 0 || to === undefined || !buttons[to]) return;
  event.preventDefault();
  buttons[from].tabIndex = -1;
  buttons[to].tabIndex = 0;
  buttons[to].focus();
}
