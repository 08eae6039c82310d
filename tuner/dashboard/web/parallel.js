// Parallel coordinates: a line for each trial, two handles on each axis that filter.

const HIGH = 300, TOP = 74, ABSENT = 26; // pixels; absent values lie below the axis

/** The brushed axes, by name: `{low, high}`, null where that end is open. */
function matches(trial, axes, brushes) {
  return axes.every(({ name, axis, of }) => {
    const brush = brushes[name];
    if (!brush) return true;
    const at = axis.at(of(trial)), near = 1e-6;
    return (brush.low === null || at >= axis.at(brush.low) - near)
      && (brush.high === null || at <= axis.at(brush.high) + near) && !Number.isNaN(at);
  });
}

/** The axes that tell trials apart: the loss, hyper-parameters, the rest. */
function coordinates(trials, values) {
  const figures = (name, key) => ({ name, column: trials.map((trial) => trial[key]) });
  return [
    figures("validation loss", "score"),
    ...Object.entries(values).map(([name, column]) => ({ name, column })),
    figures("epochs granted", "epochs"),
    figures("ms a slice", "milliseconds"),
  ]
    .filter(({ column }) => new Set(column.filter((value) => value !== null)).size > 1)
    .map(({ name, column }) => ({ name, axis: parameterAxis(column), of: (trial) => column[trial.index] }));
}

const inside = (place) => Math.min(1, Math.max(0, place));

/** Draws lines and axes; `brushed(name, brush or null)` is told what the reader does. */
function parallel(trials, axes, brushed) {
  const shown = trials.filter((trial) => trial.status !== "rejected");
  if (axes.length < 2 || !shown.length) {
    nothing("parallel", "Two trials that differ are needed.");
    return () => {};
  }
  const { svg, width, height } = picture("parallel", TOP + HIGH + ABSENT + 24, {
    title: "Parallel coordinates", role: "group", least: axes.length * 64 + 60,
    description: `${shown.length} trials over ${axes.map(({ name }) => name).join(", ")}.`,
  });
  const gap = (width - 110) / (axes.length - 1);
  const X = (index) => 40 + index * gap;
  const Y = (place) => (Number.isNaN(place) ? TOP + HIGH + ABSENT : TOP + (1 - place) * HIGH);
  const lines = draw(svg, "g", { class: "lines" });
  for (const trial of shown) {
    const points = axes.map(({ axis, of }, i) => [X(i), Y(axis.at(of(trial)))]);
    mark(lines, "path", trial, { class: "line", d: path(points) }, `${trial.name}: ${figure(trial.score)}`);
  }
  const painters = axes.map((one, i) => drawAxis(svg, one, X(i), i, brushed));
  draw(svg, "text", { x: X(0) - 12, y: height - 6 }, "below an axis: not there in that trial, or not known yet");
  return (brushes) => axes.forEach(({ name }, i) => painters[i](brushes[name]));
}

/** Draws an axis with its handles; returns what shows a brush on it. */
function drawAxis(svg, { name, axis }, x, index, brushed) {
  const group = draw(svg, "g", { class: "axis", transform: `translate(${x} 0)` });
  const Y = (place) => TOP + (1 - place) * HIGH;
  draw(group, "text", { class: "label", x: 0, y: 0, transform: `translate(-4 ${TOP - 24}) rotate(-24)` }, name);
  draw(group, "line", { x1: 0, x2: 0, y1: TOP, y2: TOP + HIGH });
  const band = draw(group, "rect", { class: "band", x: -7, width: 14 });
  for (const tick of axis.ticks)
    draw(group, "text", { class: "tick", x: 11, y: Y(axis.at(tick)) + 4 }, axis.text(tick));
  const reach = draw(group, "rect", { class: "reach", x: -14, y: TOP - 12, width: 28, height: HIGH + 24 });
  const places = { low: 0, high: 1 };
  const handles = {};
  for (const end of ["low", "high"]) {
    const handle = draw(group, "g", {
      id: `${end}-${index}`, class: "handle", role: "slider", tabindex: 0,
      "aria-orientation": "vertical", "aria-valuemin": 0, "aria-valuemax": 100,
      "aria-label": `${name}, ${end === "low" ? "at least" : "at most"}`,
    });
    draw(handle, "rect", { class: "grip", x: -14, y: end === "low" ? -2 : -22, width: 28, height: 24 });
    draw(handle, "path", { d: end === "low" ? "M-9,14 L0,2 L9,14 Z" : "M-9,-14 L0,-2 L9,-14 Z" });
    handle.addEventListener("keydown", (event) => pressed(event, end));
    handle.addEventListener("pointerdown", (event) => drag(event, places[end === "low" ? "high" : "low"]));
    handles[end] = handle;
  }
  // A finger scrolls the page over an axis, and brushes by the handles only.
  reach.addEventListener("pointerdown", (event) => {
    if (event.pointerType === "mouse" && event.button === 0) drag(event, null);
  });

  function tell(low, high) {
    const open = { low: low <= 0, high: high >= 1 };
    brushed(name, open.low && open.high ? null : {
      low: open.low ? null : axis.value(low),
      high: open.high ? null : axis.value(high),
    });
  }

  function snapped(place) {
    if (!axis.steps) return inside(place);
    const last = Math.max(1, axis.steps.length - 1);
    return Math.round(inside(place) * last) / last;
  }

  function drag(event, from) {
    event.preventDefault();
    const place = (moved) => {
      const { top } = svg.getBoundingClientRect();
      return snapped(1 - (moved.clientY - top - TOP) / HIGH);
    };
    const click = from === null;
    const start = click ? place(event) : from;
    let still = event.clientY;
    const move = (moved) => {
      if (still !== null && Math.abs(moved.clientY - still) < 3) return;
      still = null;
      const to = place(moved);
      tell(Math.min(start, to), Math.max(start, to));
    };
    const end = () => {
      svg.removeEventListener("pointermove", move);
      if (click && still !== null) brushed(name, null);
    };
    svg.setPointerCapture(event.pointerId);
    svg.addEventListener("pointermove", move);
    svg.addEventListener("pointerup", end, { once: true });
    svg.addEventListener("pointercancel", end, { once: true });
    if (!click) handles[from === places.low ? "high" : "low"].focus();
  }

  function pressed(event, end) {
    const one = axis.steps ? 1 / Math.max(1, axis.steps.length - 1) : 0.02;
    const steps = { ArrowUp: one, ArrowRight: one, ArrowDown: -one, ArrowLeft: -one, PageUp: Math.max(one, 0.1), PageDown: -Math.max(one, 0.1), Home: -2, End: 2 };
    if (event.key === "Escape") brushed(name, null);
    else if (event.key in steps) {
      const moved = snapped(places[end] + steps[event.key]);
      if (end === "low") tell(Math.min(moved, places.high), places.high);
      else tell(places.low, Math.max(moved, places.low));
    } else return;
    event.preventDefault();
  }

  return (brush) => {
    places.low = !brush || brush.low === null ? 0 : inside(axis.at(brush.low));
    places.high = !brush || brush.high === null ? 1 : inside(axis.at(brush.high));
    band.setAttribute("y", Y(places.high) - 5);
    band.setAttribute("height", Y(places.low) - Y(places.high) + 10);
    band.classList.toggle("open", !brush);
    for (const end of ["low", "high"]) {
      handles[end].setAttribute("transform", `translate(0 ${Y(places[end]) + (end === "low" ? 5 : -5)})`);
      handles[end].setAttribute("aria-valuenow", Math.round(100 * places[end]));
      handles[end].setAttribute("aria-valuetext", axis.text(axis.value(places[end])));
    }
  };
}
