// Controls, keys, and the beginning.

function drawControls(page) {
  const {mode, tab, path, layer} = page;
  for (const button of document.querySelectorAll('#modes button'))
    button.setAttribute('aria-pressed', String(button.dataset.mode === mode));
  const tabs = page.tabs();
  const names = {
    input: 'to the input',
    weight: mode === 'backward' ? 'to the weights' : 'weights',
    bias: mode === 'backward' ? 'to the bias' : 'bias',
  };
  replace(
    byId('tabs'),
    tabs.length < 2
      ? []
      : tabs.map(each =>
          el(
            'button',
            {
              type: 'button',
              'aria-pressed': String(each === tab),
              'data-tab': each,
              onclick: () => page.setTab(each),
            },
            names[each] ?? (mode === 'backward' ? `to ${each}` : each),
          ),
        ),
  );
  byId('where').textContent =
    path === 'image' ? 'The image' : path === 'loss' ? `The loss: ${page.trace.loss.name}` : path;
  byId('about').textContent = layer === null ? '' : aboutOf(layer);
}

function aboutOf({name, settings, in: from, out}) {
  const shape = s => (s[1] * s[2] === 1 ? String(s[0]) : s.join('×'));
  const words = [`${shape(from)} → ${shape(out)}`];
  const pair = ([a, b]) => (a === b ? String(a) : `${a}×${b}`);
  if (settings.taps) words.push(`window ${settings.taps.join('×')}`, `stride ${pair(settings.stride)}`);
  if (settings.before && (settings.before.some(p => p) || (settings.after ?? []).some(p => p)))
    words.push(
      settings.after && String(settings.after) !== String(settings.before)
        ? `padding ${settings.before.join('×')} before, ${settings.after.join('×')} behind`
        : `padding ${pair(settings.before)}`,
    );
  if (settings.dilation && Math.max(...settings.dilation) > 1) words.push(`dilation ${pair(settings.dilation)}`);
  if (settings.groups > 1) words.push(`${settings.groups} groups`);
  if (name === 'conv2d') words.push(settings.rotated ? 'convolution: the filter is rotated' : 'cross-correlation');
  return words.join(' · ');
}

const STEPS = {ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1]};

function mapKey(page, panel, event) {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  if (event.key in STEPS) page.move(...STEPS[event.key]);
  else if (event.key === 'PageDown') page.moveMap(1);
  else if (event.key === 'PageUp') page.moveMap(-1);
  else if (event.key === 'Enter') {
    page.followStrongest();
    focusTarget(page);
  } else return;
  event.preventDefault();
}

function focusTarget(page) {
  // the stage was drawn anew
  if (page.view !== null) page.figures.get(page.view.target).canvas.focus();
}

function pageKey(page, event) {
  const typing = event.target.closest('button, input, select, a, summary');
  if (event.key === 'Escape') {
    const onMap = event.target.closest('canvas') !== null;
    page.back();
    if (onMap) focusTarget(page);
  } else if (event.key === ' ' && !typing) {
    event.preventDefault();
    page.play();
  }
}

function verdictOf(trace) {
  const {worst, where, numbers, byPass, run} = repeatStep(trace);
  const unknown = trace.all.filter(layer => !layer.known).map(layer => layer.path);
  const good = worst <= 1e-9;
  const passes = Object.entries(byPass)
    .filter(([pass]) => pass !== 'update' || canUpdate(trace))
    .map(([pass, off]) => `${pass} ${show(off, 2)}`);
  return {
    good,
    worst,
    run,
    text: `This page has computed the step again, with plain loops in double precision: of ${numbers.toLocaleString('en')} numbers the largest difference from the kernels’ is ${show(worst, 2)}${good ? '' : `, in ${where}`}`,
    more: `${passes.join(', ')}${unknown.length ? `; without a formula here: ${unknown.join(', ')}` : ''}`,
  };
}

function tellVerdict(page) {
  const {good, worst, text, more} = verdictOf(page.trace);
  replace(
    byId('verdict'),
    el('span', {class: good ? 'agrees' : 'differs', id: 'worst', 'data-worst': String(worst)}, text),
    el('span', {class: 'quiet'}, ` (${more}).`),
  );
}

function summaryOf(page) {
  const {trace, n, data} = page;
  const name = k => data.classes[k] ?? String(k);
  const logits = Array.from(trace.logits.subarray(n * trace.classes, (n + 1) * trace.classes));
  const best = logits.indexOf(Math.max(...logits));
  const share =
    trace.loss.name === 'cross_entropy'
      ? ` (${show(softmax(trace.logits, n * trace.classes, trace.classes).p[best] * 100, 3)} %)`
      : '';
  return `labelled ${name(trace.labels[n])}, the network says ${name(best)}${share}; loss ${show(trace.loss.value)}`;
}

function setTheme(page, name) {
  document.documentElement.dataset.theme = name;
  page.look = theme();
  drawStrip(page);
  drawStage(page);
}

function wire(page) {
  for (const button of document.querySelectorAll('#modes button'))
    button.addEventListener('click', () => page.setMode(button.dataset.mode));
  document.querySelector('#modes [data-mode=update]').disabled = page.trace.optimizer === null;
  byId('play').addEventListener('click', () => page.play());
  byId('back').addEventListener('click', () => page.back());
  const dark = matchMedia('(prefers-color-scheme: dark)');
  const isDark = () => (document.documentElement.dataset.theme ?? (dark.matches ? 'dark' : 'light')) === 'dark';
  byId('theme').addEventListener('click', () => setTheme(page, isDark() ? 'light' : 'dark'));
  dark.addEventListener('change', () => {
    page.look = theme();
    drawStrip(page);
    drawStage(page);
  });
  document.addEventListener('keydown', event => pageKey(page, event));
  let width = window.innerWidth;
  window.addEventListener('resize', () => {
    if (window.innerWidth !== width) {
      width = window.innerWidth;
      drawStage(page);
    } else placeArrows(page);
  });
  if (page.trace.images > 1) {
    const choice = el(
      'select',
      {
        id: 'image-choice',
        onchange: event => {
          page.setImage(Number(event.target.value));
          byId('summary').textContent = summaryOf(page);
        },
      },
      page.trace.labels.map((label, n) =>
        el('option', {value: String(n)}, `image ${n}: ${page.data.classes[label] ?? label}`),
      ),
    );
    byId('choices').append(el('label', {}, 'of the batch ', choice));
  }
  if (page.traces.length > 1) wireCheckpoints(page);
}

function wireCheckpoints(page) {
  const slider = el('input', {
    type: 'range',
    id: 'checkpoint',
    min: '0',
    max: String(page.traces.length - 1),
    value: String(page.number),
    'aria-label': 'checkpoint',
  });
  const said = el('output', {id: 'checkpoint-name'}, page.trace.name);
  slider.addEventListener('input', () => {
    page.setTrace(Number(slider.value));
    said.textContent = page.trace.name;
    slider.setAttribute('aria-valuetext', page.trace.name);
    byId('summary').textContent = summaryOf(page);
    tellVerdict(page);
  });
  slider.setAttribute('aria-valuetext', page.trace.name);
  byId('choices').append(el('label', {class: 'checkpoints'}, 'checkpoint ', slider, ' ', said));
}

async function begin() {
  const data = JSON.parse(byId('data').textContent);
  const arrays = new Arrays(data.arrays, await inflate(bytesOf(byId('numbers').textContent)));
  const page = new Page(
    data,
    data.traces.map(trace => openTrace(trace, arrays)),
  );
  window.cnntrain = page; // to look at from the console
  wire(page);
  byId('summary').textContent = summaryOf(page);
  drawStrip(page);
  const first = page.trace.layers.find(layer => layer.name === 'conv2d') ?? page.trace.layers[0];
  if (!page.readAddress()) page.open(first.path, null, {remember: false});
  document.body.dataset.ready = 'true';
  setTimeout(() => {
    tellVerdict(page);
    document.body.dataset.verified = 'true';
  }, 30);
}

begin().catch(error => {
  byId('verdict').textContent =
    `This page cannot show its numbers: ${error.message}. It needs a browser of 2023 or later.`;
  throw error;
});
