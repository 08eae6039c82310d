// Where values lie on an axis, and how figures are written.

const FEW = 10; // distinct values up to which an axis has a place for each

/** Writes a figure with some digits; a dash where there is none. */
function figure(value, digits = 4) {
  if (value === null || value === undefined) return "–";
  if (typeof value !== "number") return String(value);
  if (Number.isInteger(value)) return value.toLocaleString("en");
  if (value !== 0 && Math.abs(value) < 1e-3) return value.toExponential(2).replace(/\.?0+e/, "e");
  return String(Number(value.toPrecision(digits)));
}

/** Writes seconds as people say them. */
function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 60) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** An axis of numbers, from `zero` where asked; logarithmic where they span `log` times. */
function numberAxis(values, { log = 10, zero = false, room = 0 } = {}) {
  const known = values.filter((value) => value !== null);
  let low = known.length ? Math.min(...known) : 0;
  let high = known.length ? Math.max(...known) : 1;
  if (zero) low = Math.min(0, low);
  if (low === high) [low, high] = [low - (Math.abs(low) || 1) / 2, high + (Math.abs(high) || 1) / 2];
  const wide = !zero && low > 0 && high / low >= log;
  const [to, from] = wide ? [Math.log10, (x) => 10 ** x] : [(x) => x, (x) => x];
  let start = to(low), span = to(high) - start;
  if (!zero) start -= room * span;
  span *= zero ? 1 + room : 1 + 2 * room;
  return {
    steps: null,
    ticks: wide ? decades(low, high) : rounded(from(start), from(start + span)),
    at: (value) => (value === null ? NaN : (to(value) - start) / span),
    value: (place) => from(start + place * span),
    text: (value) => figure(value, 3),
  };
}

/** An axis for a parameter: a place for each of few values or words, else numbers. */
function parameterAxis(values) {
  const known = [...new Set(values.filter((value) => value !== null))];
  const numbers = known.every((value) => typeof value === "number");
  if (numbers && known.length > FEW) return numberAxis(known);
  known.sort(numbers ? (a, b) => a - b : undefined);
  const last = Math.max(1, known.length - 1);
  return {
    steps: known,
    ticks: known.length <= FEW ? known : known.filter((_, i) => i % Math.ceil(known.length / FEW) === 0),
    at: (value) => (known.includes(value) ? known.indexOf(value) / last : NaN),
    value: (place) => known[Math.round(place * last)],
    text: (value) => figure(value, 3),
  };
}

function rounded(low, high, count = 5) {
  const raw = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = power * [1, 2, 2.5, 5, 10].find((factor) => power * factor >= raw);
  const ticks = [];
  for (let n = Math.ceil(low / step - 1e-9); n * step <= high * (1 + 1e-9); n++)
    ticks.push(Number((n * step).toPrecision(12)));
  return ticks;
}

function decades(low, high) {
  const factors = high / low > 1e3 ? [1] : [1, 2, 5];
  const ticks = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++)
    for (const factor of factors) {
      const value = Number((factor * 10 ** power).toPrecision(3));
      if (value >= low && value <= high) ticks.push(value);
    }
  return ticks;
}
