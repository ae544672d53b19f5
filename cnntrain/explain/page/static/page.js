// What is chosen, and what happens when somebody chooses: layers, numbers, modes, checkpoints, playing.

class Page {
  constructor(data, traces) {
    Object.assign(this, {
      data,
      traces,
      mode: 'forward',
      path: null,
      tab: 'input',
      n: 0,
      index: 0,
      focus: null,
      chosen: {},
      allTerms: false,
      past: [],
      timer: null,
      view: null,
      look: theme(),
    });
    this.useTrace(0);
  }

  get trace() {
    return this.traces[this.number];
  }
  get layer() {
    return this.trace.byPath.get(this.path) ?? null;
  }

  useTrace(number) {
    this.number = number;
    this.trace.classNames = this.data.classes;
  }

  // --- choosing ---

  open(path, index = null, {mode = this.mode, tab = null, remember = true} = {}) {
    if (remember && this.path !== null) this.past.push([this.mode, this.path, this.tab, this.index]);
    const moved = mode !== this.mode;
    Object.assign(this, {mode, path, chosen: {}, focus: null, allTerms: false});
    this.tab = this.tabs().includes(tab) ? tab : (this.tabs()[0] ?? 'input');
    if (moved) drawStrip(this);
    this.refresh(index);
  }

  tabs() {
    const parameters = this.layer === null ? {} : this.layer.parameters;
    const names = Object.keys(parameters);
    if (this.mode === 'update') return names; // of what is frozen there is no gradient
    return this.mode === 'backward' ? ['input', ...names.filter(name => !parameters[name].frozen)] : ['output'];
  }

  setMode(mode) {
    let {path} = this;
    if (mode === 'update' && (this.layer === null || Object.keys(this.layer.parameters).length === 0))
      path = this.trace.parameters[0]?.layer.path ?? path;
    this.open(path, null, {mode});
    drawStrip(this);
  }

  setTab(tab) {
    this.open(this.path, null, {tab});
  }

  setImage(n) {
    this.n = n;
    drawStrip(this);
    this.refresh(this.index);
  }

  setTrace(number) {
    this.useTrace(number);
    drawStrip(this);
    this.refresh(this.index);
  }

  refresh(index = null) {
    const {trace, mode, n} = this;
    this.view =
      this.path === 'image'
        ? mode === 'update'
          ? null
          : imageView(trace, mode, n)
        : this.path === 'loss'
          ? mode === 'update'
            ? null
            : lossView(trace, mode, n)
          : viewOf(trace, this.layer, mode, this.tab, n);
    if (this.view !== null) {
      this.target = this.view.panels.find(panel => panel.id === this.view.target);
      const size = this.target.maps * this.target.count;
      this.index = index === null || index >= size ? this.notable() : index;
      this.explain();
    }
    drawControls(this);
    drawStage(this);
    markStrip(this);
    this.writeAddress();
  }

  notable() {
    // the number to begin with: the largest, or the label's
    if (this.path === 'loss') return this.trace.labels[this.n];
    let best = 0;
    for (let i = 0; i < this.target.maps * this.target.count; i++)
      if (Math.abs(numberAt(this.target, i)) > Math.abs(numberAt(this.target, best))) best = i;
    return best;
  }

  explain() {
    this.view.index = this.index;
    this.explanation = this.view.explain(this.index);
    const parts = this.explanation.parts.filter(p => p.terms.length);
    if (!parts.some(p => p.map === this.focus)) this.focus = this.heaviest(parts);
  }

  heaviest(parts) {
    // the part of the sum that says most
    if (parts.length === 0) return null;
    const own = this.mode === 'backward' && this.tab !== 'input' && parts.find(p => p.map === this.n);
    return (own || parts.reduce((best, p) => (Math.abs(p.sum) > Math.abs(best.sum) ? p : best))).map;
  }

  select(index) {
    this.index = index;
    this.allTerms = false;
    this.explain();
    drawSelection(this);
    this.writeAddress();
  }

  pick(panel, spot) {
    const at = {...spot, map: this.figures.get(panel.id).map};
    const index =
      panel.id === this.view.target || this.mode === 'update'
        ? indexAt(panel, at)
        : this.view.near(this.view, panel, at);
    if (index !== null && index !== undefined) this.select(index);
  }

  chooseMap(panel, map) {
    if (panel.id === this.view.target || this.mode === 'update') {
      this.select(Math.min(map * panel.count + (this.index % panel.count), panel.maps * panel.count - 1));
      return;
    }
    this.chosen[panel.id] = map;
    const {explanation} = this;
    const part = explanation.parts.find(p => p.terms.some(t => t.at[panel.id]?.map === map));
    if (part) {
      this.focusPart(part);
      return;
    }
    const index = this.view.near(this.view, panel, {map, u: 0, v: 0});
    if ((explanation.lit[panel.id] ?? []).length && index !== null && index !== undefined) this.select(index);
    else drawSelection(this);
  }

  focusPart(part) {
    this.focus = part.map;
    this.chosen = {};
    this.allTerms = false;
    drawSelection(this);
  }

  showAllTerms() {
    this.allTerms = true;
    drawSum(this);
  }

  // --- where a number comes from ---

  follow(go) {
    if (go.layer) this.open(go.layer.path, go.index);
    else if (go.side === 'x') this.open(before(this.layer), go.index, {mode: 'forward'});
    else if (go.side === 'logits') this.open(lastOf(this.trace.layers).path, go.index, {mode: 'forward'});
    else {
      const [path, index] = behind(this.layer, go.index);
      this.open(path, index, {mode: 'backward', tab: 'input'});
    }
  }

  followStrongest() {
    const {explanation} = this;
    const terms = (partInView(this)?.terms ?? []).filter(t => t.go !== null);
    const strongest = terms.reduce(
      (best, t) => (best === null || Math.abs(t.value) > Math.abs(best.value) ? t : best),
      null,
    );
    const go = strongest?.go ?? explanation.origin ?? null;
    if (go !== null && (go.layer || this.layer !== null || go.side === 'logits')) this.follow(go);
  }

  back() {
    if (this.timer !== null) {
      this.play();
      return;
    }
    const last = this.past.pop();
    if (last) this.open(last[1], last[3], {mode: last[0], tab: last[2], remember: false});
  }

  difference() {
    const {trace, path, tab, index, n} = this;
    if (path === 'loss') return lossDifference(trace, n * trace.classes + index);
    const layer = path === 'image' ? trace.layers[0] : this.layer;
    return tab === 'input'
      ? centralDifference(trace, layer, null, n * sizeOf(layer.in) + index)
      : centralDifference(trace, layer, tab, index);
  }

  // --- moving ---

  move(rows, columns) {
    const {target} = this;
    const spot = spotOf(target, this.index);
    const index = indexAt(target, {
      map: spot.map,
      u: spot.u + rows * target.spread[0],
      v: spot.v + columns * target.spread[1],
    });
    if (index !== null) this.select(index);
  }

  moveMap(by) {
    const {target} = this;
    const map = spotOf(target, this.index).map + by;
    if (map >= 0 && map < target.maps) this.select(map * target.count + (this.index % target.count));
  }

  play() {
    if (this.timer !== null) {
      clearInterval(this.timer);
      this.timer = null;
    } else if (this.view !== null) {
      this.timer = setInterval(() => {
        const {count} = this.target;
        const first = this.index - (this.index % count);
        this.select(first + ((this.index + 1) % count));
      }, 420);
    }
    byId('play').setAttribute('aria-pressed', String(this.timer !== null));
    byId('play-word').textContent = this.timer === null ? 'Play' : 'Stop';
    byId('said').setAttribute('aria-live', this.timer === null ? 'polite' : 'off');
  }

  writeAddress() {
    const words = [this.mode, this.path, this.tab, this.n, this.index].map(encodeURIComponent);
    history.replaceState(null, '', `#${words.join('/')}`);
  }

  readAddress() {
    const [mode, path, tab, n, index] = location.hash.slice(1).split('/').map(decodeURIComponent);
    if (!['forward', 'backward', 'update'].includes(mode)) return false;
    if (!this.trace.byPath.has(path) && !['image', 'loss'].includes(path)) return false;
    this.n = Math.max(0, Math.min(this.trace.images - 1, Math.floor(Number(n)) || 0));
    this.open(path, Math.max(0, Math.floor(Number(index)) || 0), {mode, tab, remember: false});
    return true;
  }
}
