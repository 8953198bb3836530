"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const data = JSON.parse(byId("data").textContent);
  const video = byId("video");
  const levels = data.curve ? data.curve.levels : [];
  const scores = [...Object.values(data.detections).flat().map((entry) => entry.score), ...levels];
  if (data.curve) scores.push(data.threshold); // so that its line can be seen
  const ends = [...Object.values(data.detections).flat(), ...(data.truth || [])].map((entry) => entry.segment[1]);
  const highest = scores.reduce((a, b) => Math.max(a, b), 0);
  const step = highest > 0.2 || highest === 0 ? 0.01 : highest > 0.02 ? 0.001 : 0.0001;
  const digits = Math.round(-Math.log10(step));
  const top = Math.ceil(highest / step - 1e-9) * step || 1; // score at the upper edge of a lane
  const MOST_LISTED = 100; // rows of the table that are made unasked

  const state = { direction: data.chief, threshold: data.threshold, all: false, key: "score", down: true, every: false };
  let duration = data.duration || ends.reduce((a, b) => Math.max(a, b), 1);
  let position = 0;
  let pending = null; // where to go once the player knows its video
  let rows = []; // one per class of the direction, best score first; before them that of the curve, if there is one
  let shown = []; // detections at or above the threshold
  const segmentOf = new WeakMap(); // bar -> {label, start, end, score}; of the truth without score

  // Text ---------------------------------------------------------------------------------------------------------

  function clock(seconds, decimals = 1) {
    const unit = 10 ** decimals;
    const total = Math.round(seconds * unit) / unit;
    const hours = Math.floor(total / 3600);
    const minutes = Math.floor((total % 3600) / 60);
    const rest = (total % 60).toFixed(decimals).padStart(decimals ? decimals + 3 : 2, "0");
    return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
  }

  const number = (score) => score.toFixed(Math.max(2, digits));
  const plural = (n, one, many) => `${n} ${n === 1 ? one : many}`;

  function make(tag, className, text) {
    const element = document.createElement(tag);
    if (className) element.className = className;
    if (text !== undefined) element.textContent = text;
    return element;
  }

  // Classes and their rows -----------------------------------------------------------------------------------------

  /** The highest score at each moment, as levels between consecutive edges in time. */
  function scoreCurve(found) {
    const edges = [...new Set(found.flatMap((d) => [d.start, d.end]))].sort((a, b) => a - b);
    const index = new Map(edges.map((time, i) => [time, i]));
    const levels = new Float64Array(Math.max(0, edges.length - 1));
    for (let i = found.length - 1; i >= 0; i--) {
      const d = found[i]; // from the lowest score up: what comes later covers
      levels.fill(d.score, index.get(d.start), index.get(d.end));
    }
    return { edges, levels };
  }

  function curveAt(row, time) {
    row.curve ||= scoreCurve(row.found);
    const { edges, levels } = row.curve;
    if (!levels.length || time < edges[0] || time > edges[edges.length - 1]) return 0;
    let low = 0;
    let high = levels.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (edges[middle] <= time) low = middle;
      else high = middle - 1;
    }
    return levels[low];
  }

  function curvePath(row) {
    row.curve ||= scoreCurve(row.found);
    const { edges, levels } = row.curve;
    const x = (time) => ((Math.min(time, duration) / duration) * 1000).toFixed(2);
    const y = (score) => ((1 - score / top) * 100).toFixed(2);
    let path = "M0 100";
    let last = 0;
    levels.forEach((level, i) => {
      if (level !== last) path += `H${x(edges[i])}V${y(level)}`;
      last = level;
    });
    if (levels.length) path += `H${x(edges[edges.length - 1])}V100`;
    return `${path}H1000`;
  }

  const flat = (entry) => ({
    label: entry.label, start: entry.segment[0], end: entry.segment[1], score: entry.score,
    length: entry.segment[1] - entry.segment[0],
  });

  function chooseDirection(direction) {
    state.direction = direction;
    document.documentElement.dataset.direction = direction;
    const classes = new Map();
    const of = (label) => {
      if (!classes.has(label)) classes.set(label, { label, found: [], truth: [], made: 0, visible: 0 });
      return classes.get(label);
    };
    for (const entry of data.detections[direction]) of(entry.label).found.push(flat(entry));
    for (const entry of data.truth || []) of(entry.label).truth.push(flat(entry));
    rows = [...classes.values()];
    for (const row of rows) row.found.sort((a, b) => b.score - a.score);
    const best = (row) => (row.found.length ? row.found[0].score : -1);
    rows.sort((a, b) => best(b) - best(a) || (a.label < b.label ? -1 : 1));
    if (data.curve) rows.unshift({ label: data.curve.label, found: [], truth: [], made: 0, visible: 0, curve: data.curve });
    for (const row of rows) {
      row.element = make("div", "row");
      row.element.setAttribute("role", "listitem");
      row.element.hidden = true;
    }
    byId("rows").replaceChildren(...rows.map((row) => row.element));
    update();
  }

  /** Is it the row of the curve, which is of no class? */
  const whole = (row) => data.curve !== undefined && row.curve === data.curve;

  function bar(segment, height) {
    const element = make("div", "bar");
    const start = Math.min(segment.start, duration);
    element.style.left = `${(start / duration) * 100}%`;
    element.style.width = `${((Math.min(segment.end, duration) - start) / duration) * 100}%`;
    if (height !== undefined) {
      element.style.height = `${height * 100}%`;
      element.style.opacity = 0.45 + 0.55 * height;
    }
    segmentOf.set(element, segment);
    return element;
  }

  /** Fill a row when it comes into sight for the first time. */
  function fill(row) {
    const name = make("div", "name");
    const label = make("b", "", row.label);
    label.title = row.label;
    const best = whole(row) ? levels : row.found.slice(0, 1).map((d) => d.score);
    const most = best.reduce((a, b) => Math.max(a, b), 0);
    name.append(label, make("span", "", best.length ? `best ${number(most)}` : "no detection"));
    const track = make("div", "track");
    track.setAttribute("aria-hidden", "true");
    row.lane = make("div", "lane");
    row.level = make("div", "level");
    const holder = make("div");
    holder.innerHTML = '<svg viewBox="0 0 1000 100" preserveAspectRatio="none"><path></path></svg>';
    holder.querySelector("path").setAttribute("d", curvePath(row));
    row.bars = make("div");
    row.lane.append(row.bars, holder.firstChild, row.level);
    track.append(row.lane);
    if (data.truth) {
      const truths = make("div", "truths");
      truths.append(...row.truth.map((segment) => bar(segment)));
      track.append(truths);
    }
    row.element.append(name, track);
    row.track = track;
  }

  /** Show a row's bars down to the threshold; bars stand in order of score, and are made when first needed. */
  function showRow(row) {
    let count = 0;
    while (count < row.found.length && row.found[count].score >= state.threshold) count++;
    const visible = state.all || count > 0 || row.truth.length > 0 || whole(row);
    row.element.hidden = !visible;
    row.count = count;
    if (!visible) return;
    if (!row.track) fill(row);
    row.level.style.bottom = `${(state.threshold / top) * 100}%`;
    for (; row.made < count; row.made++) row.bars.append(bar(row.found[row.made], row.found[row.made].score / top));
    const bars = row.bars.children;
    for (; row.visible < count; row.visible++) bars[row.visible].hidden = false;
    for (; row.visible > count; row.visible--) bars[row.visible - 1].hidden = true;
  }

  function update() {
    rows.forEach(showRow);
    shown = rows.flatMap((row) => row.found.slice(0, row.count));
    const total = data.detections[state.direction].length;
    const classes = rows.filter((row) => !whole(row));
    const seen = classes.filter((row) => !row.element.hidden).length;
    byId("threshold-value").textContent = state.threshold.toFixed(digits);
    byId("remain").textContent = `${shown.length} of ${plural(total, "detection", "detections")} shown`;
    byId("count").textContent =
      `· ${shown.length} of ${plural(total, "detection", "detections")} shown · ` +
      `${seen} of ${plural(classes.length, "class", "classes")} shown`;
    byId("nothing").hidden = seen > 0;
    byId("nothing").textContent = total ? "No detection has this score." : "Nothing was detected.";
    listDetections();
    sayNow();
  }

  // Table ----------------------------------------------------------------------------------------------------------

  function listDetections() {
    const { key, down } = state;
    const order = (a, b) => (key === "label" ? (a.label < b.label ? -1 : a.label > b.label ? 1 : 0) : a[key] - b[key]);
    shown.sort((a, b) => (down ? order(b, a) : order(a, b)) || a.start - b.start);
    const listed = state.every ? shown : shown.slice(0, MOST_LISTED);
    byId("list").replaceChildren(...listed.map(tableRow));
    byId("more").hidden = listed.length === shown.length;
    byId("more").textContent = `List all ${shown.length}`;
    for (const button of document.querySelectorAll("th button")) {
      const sort = button.dataset.key === key ? (down ? "descending" : "ascending") : "none";
      button.parentElement.setAttribute("aria-sort", sort);
    }
  }

  function tableRow(d) {
    const row = make("tr");
    const start = make("td");
    const button = make("button", "", clock(d.start));
    button.type = "button";
    button.setAttribute("aria-label", `Go to ${clock(d.start)}`);
    start.append(button);
    row.append(make("td", "", d.label), start, make("td", "", clock(d.end)));
    row.append(make("td", "length", `${d.length.toFixed(1)} s`), make("td", "", number(d.score)));
    segmentOf.set(row, d);
    return row;
  }

  // Time -----------------------------------------------------------------------------------------------------------

  function place(time) {
    position = Math.min(Math.max(time, 0), duration);
    byId("playhead").style.left = `${(position / duration) * 100}%`;
    const axis = byId("axis");
    axis.setAttribute("aria-valuenow", position.toFixed(2));
    axis.setAttribute("aria-valuetext", clock(position));
    sayNow();
  }

  function sayNow() {
    const here = rows.map((row) => [row.label, row.count || whole(row) ? curveAt(row, position) : 0, whole(row)]);
    const told = ([, score, always]) => always || (score > 0 && score >= state.threshold);
    const found = here.filter(told).sort((a, b) => b[2] - a[2] || b[1] - a[1]);
    const words = found.slice(0, 5).flatMap(([label, score]) => [" · ", make("b", "", label), ` ${number(score)}`]);
    byId("now").replaceChildren(`${clock(position)}`, ...(words.length ? words : [" · no detection here"]));
  }

  function picture({ time, text, png }) {
    const button = make("button");
    const image = make("img");
    Object.assign(button, { type: "button", title: "Go there" });
    Object.assign(image, { src: `data:image/png;base64,${png}`, alt: text });
    button.append(image, make("span", "", text));
    button.addEventListener("click", () => seek(time));
    return button;
  }

  function seek(time) {
    place(time);
    if (video.readyState >= 1) video.currentTime = position;
    else pending = position;
  }

  function drawAxis() {
    const width = byId("axis").clientWidth;
    const steps = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400];
    const gap = steps.find((s) => (s / duration) * width >= 64) || duration;
    const ticks = [];
    const lines = [];
    for (let i = 0; i * gap <= duration; i++) {
      const left = `${((i * gap) / duration) * 100}%`;
      ticks.push(make("span", "", clock(i * gap, gap < 1 ? 1 : 0)));
      lines.push(make("i"));
      ticks[i].style.left = lines[i].style.left = left;
    }
    byId("axis").replaceChildren(...ticks);
    byId("grid").replaceChildren(...lines);
  }

  function setDuration(seconds) {
    duration = seconds;
    byId("duration").textContent = clock(duration);
    byId("axis").setAttribute("aria-valuemax", duration.toFixed(2));
    drawAxis();
  }

  // Events ---------------------------------------------------------------------------------------------------------

  const timeAt = (event) => {
    const box = byId("cursor").getBoundingClientRect();
    return Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1) * duration;
  };

  byId("timeline").addEventListener("click", (event) => {
    const segment = segmentOf.get(event.target);
    if (segment) seek(segment.start);
    else if (event.target.closest(".track, #axis")) seek(timeAt(event));
  });

  byId("axis").addEventListener("keydown", (event) => {
    const jumps = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 10, PageDown: -10 };
    const ends = { Home: 0, End: duration };
    if (event.key in jumps) seek(position + jumps[event.key]);
    else if (event.key in ends) seek(ends[event.key]);
    else return;
    event.preventDefault();
  });

  function tip(event) {
    const box = byId("tip");
    const track = event.target.closest && event.target.closest(".track");
    const row = track && rows.find((r) => r.track === track);
    box.hidden = !row;
    if (!row) return;
    const segment = segmentOf.get(event.target);
    const score = segment && (segment.score === undefined ? "ground truth" : `score ${number(segment.score)}`);
    box.textContent = segment
      ? `${row.label}\n${clock(segment.start)} to ${clock(segment.end)} (${segment.length.toFixed(1)} s)\n${score}`
      : `${row.label}\n${clock(timeAt(event))}, highest score here ${number(curveAt(row, timeAt(event)))}`;
    const x = Math.min(event.clientX + 14, innerWidth - box.offsetWidth - 8);
    const y = event.clientY + 18 + box.offsetHeight > innerHeight ? event.clientY - box.offsetHeight - 10 : event.clientY + 18;
    box.style.transform = `translate(${Math.max(4, x)}px, ${y}px)`;
  }
  byId("timeline").addEventListener("pointermove", tip);
  byId("timeline").addEventListener("pointerleave", () => (byId("tip").hidden = true));
  addEventListener("scroll", () => (byId("tip").hidden = true), { passive: true });

  let waiting = false;
  byId("threshold").addEventListener("input", () => {
    state.threshold = Number(byId("threshold").value);
    byId("threshold-value").textContent = state.threshold.toFixed(digits);
    if (!waiting) requestAnimationFrame(() => ((waiting = false), update()));
    waiting = true;
  });
  byId("all").addEventListener("change", () => ((state.all = byId("all").checked), update()));
  byId("more").addEventListener("click", () => ((state.every = true), listDetections()));
  byId("list").addEventListener("click", (event) => {
    const row = event.target.closest("tr");
    if (row) seek(segmentOf.get(row).start);
  });
  for (const button of document.querySelectorAll("th button")) {
    button.addEventListener("click", () => {
      const key = button.dataset.key;
      state.down = state.key === key ? !state.down : key === "score" || key === "length";
      state.key = key;
      listDetections();
    });
  }

  function unplayable(reason) {
    video.hidden = true;
    byId("problem").hidden = false;
    byId("problem").textContent = reason;
  }
  const failed = () => unplayable(data.link
    ? `The video cannot be played. This page looks for it at ${data.link}, seen from where the page lies: is the file there?`
    : "This browser cannot play the video in this page. Timelines and list work without it.");

  function known() {
    if (!video.videoWidth) unplayable("This browser cannot show the pictures of this video. Timelines and list work without it.");
    if (!data.duration && Number.isFinite(video.duration)) setDuration(video.duration), chooseDirection(state.direction);
    if (pending !== null) video.currentTime = pending;
    pending = null;
  }
  function follow() {
    place(video.currentTime);
    if (!video.paused && !video.ended) requestAnimationFrame(follow);
  }
  video.addEventListener("error", failed);
  video.addEventListener("loadedmetadata", known);
  video.addEventListener("play", follow);
  for (const event of ["timeupdate", "seeking", "seeked"]) video.addEventListener(event, () => place(video.currentTime));

  // Start ----------------------------------------------------------------------------------------------------------

  const directions = Object.keys(data.detections);
  byId("directions").hidden = directions.length < 2;
  for (const direction of directions) {
    const choice = make("label", "", data.names[direction]);
    const input = make("input");
    Object.assign(input, { type: "radio", name: "direction", value: direction, checked: direction === state.direction });
    input.addEventListener("change", () => chooseDirection(direction));
    choice.prepend(input);
    byId("directions").querySelector(".choices").append(choice);
  }
  Object.assign(byId("threshold"), { max: top.toFixed(digits), step, value: state.threshold });
  byId("threshold").value = state.threshold;
  state.threshold = Number(byId("threshold").value);
  byId("truth-key").hidden = !data.truth;
  byId("curve-key").hidden = !data.curve;
  byId("curve-key").querySelector("b").textContent = data.curve ? data.curve.label : "";
  byId("pictures").hidden = !data.pictures.length;
  byId("pictures").querySelector(".pictures").replaceChildren(...data.pictures.map(picture));
  byId("scale").textContent = `(full height: ${top.toFixed(digits)})`;
  byId("beside").hidden = !data.link;
  byId("beside").textContent = data.link ? `The video is not inside this page, which plays ${data.link}: keep both in place.` : "";
  new ResizeObserver(() => (byId("axis").style.top = `${stickyHeight()}px`)).observe(byId("player"));
  new ResizeObserver(drawAxis).observe(byId("axis"));
  function stickyHeight() {
    return getComputedStyle(byId("player")).position === "sticky" ? byId("player").offsetHeight : 0;
  }
  setDuration(duration);
  chooseDirection(state.direction);
  place(0);
  if (video.error) failed();
  else if (video.readyState >= 1) known();
})();
