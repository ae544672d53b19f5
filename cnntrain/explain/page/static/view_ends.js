// The two ends: the image and the loss.

function imageView(trace, mode, n) {
  const first = trace.layers[0];
  if (mode === 'backward') {
    if (first.dx === null) return null;
    const dx = gradientPanel(first, n);
    return {
      panels: [inputPanel(first, n), dx],
      signs: [''],
      target: 'dx',
      near: sameSpot,
      explain: index => ({
        name: `dL/d(image)[${dx.label(index)}]`,
        words: 'how the loss changes with this pixel (normalised)',
        value: numberAt(dx, index),
        kernel: numberAt(dx, index),
        parts: [],
        lines: [],
        lit: {x: [spotOf(dx, index)]},
        arrows: [],
        origin: {layer: first, index},
      }),
    };
  }
  const x = inputPanel(first, n);
  return {
    panels: [x],
    signs: [],
    target: 'x',
    near: sameSpot,
    explain: index => ({
      name: `image[${x.label(index)}]`,
      words: 'a pixel, normalised',
      value: numberAt(x, index),
      kernel: numberAt(x, index),
      parts: [],
      lines: [],
      lit: {},
      arrows: [],
    }),
  };
}

function lossView(trace, mode, n) {
  const {
    classes,
    labels,
    loss: {name, settings, known},
  } = trace;
  const shape = [classes, 1, 1],
    label = labels[n],
    base = n * classes;
  const className = index => (trace.classNames[index] === undefined ? String(index) : trace.classNames[index]);
  const options = {label: index => `${index}`, mapName: 'class'};
  const logits = panelOf('x', 'outputs', 'value', trace.logits, base, shape, {...options, symbol: 'y'});
  const {p} = softmax(trace.logits, base, classes);
  const probabilities = panelOf('p', 'probabilities', 'value', p, 0, shape, {...options, symbol: 'p'});
  const gradients = panelOf('dx', 'dL/d(outputs)', 'delta', trace.gradLogits, base, shape, {...options, symbol: 'δ'});
  const rule = known ? LOSSES[name] : undefined;
  const softmaxed = name === 'cross_entropy' && known;
  const weight = rule && rule.weight ? rule.weight(settings, labels) : labels.length;
  const lit = index => ({x: [spotOf(logits, index)], p: [spotOf(logits, index)]});
  const gradient = new Float64Array(trace.logits.length);
  const own = rule ? rule.image(trace.logits, base, classes, label, settings, gradient) : trace.loss.value;
  const mean = rule ? lossOf(trace, trace.logits).value : trace.loss.value;
  const said = `label: ${className(label)}`;
  const common = {parts: [], arrows: [], unknown: rule === undefined};
  if (mode === 'forward') {
    const last = softmaxed ? probabilities : logits;
    const explain = index => ({
      ...common,
      name: 'L',
      words: LOSS_WORDS[name] ?? name,
      value: mean,
      kernel: trace.loss.value,
      lit: lit(index),
      origin: {side: 'logits', index},
      lines: [
        ...(softmaxed ? [[`p[${className(index)}]`, `e^${factor(trace.logits[base + index])} / Σ e^y`, p[index]]] : []),
        [
          `L of image ${n}`,
          softmaxed && !settings.label_smoothing && !settings.class_weights ? `−log ${show(p[label])}, ${said}` : said,
          own,
        ],
        ...(labels.length > 1 ? [['L', `mean over ${labels.length} images`, mean]] : []),
      ],
    });
    return {
      panels: softmaxed ? [logits, probabilities] : [logits],
      signs: ['→'],
      target: last.id,
      explain,
      near: sameSpot,
    };
  }
  const explain = index => {
    const target = softmaxed ? targetOf(settings, classes, label, index) : index === label ? 1 : 0;
    const value = rule ? gradient[base + index] / weight : numberAt(gradients, index);
    return {
      ...common,
      name: `dL/dy[${className(index)}]`,
      words: LOSS_SLOPES[name] ?? name,
      value,
      kernel: numberAt(gradients, index),
      lit: lit(index),
      lines: softmaxed
        ? [
            ['p', `softmax of ${show(trace.logits[base + index])}`, p[index]],
            ['t', index === label ? `${className(index)} is the label` : 'not the label', target],
            ['dL/dy', `(p − t)${weight === 1 ? '' : ` / ${show(weight)}`}`, value],
          ]
        : [
            ['y', null, trace.logits[base + index]],
            ['t', index === label ? 'the label' : 'not the label', target],
            ['dL/dy', null, value],
          ],
    };
  };
  return {
    panels: softmaxed ? [logits, probabilities, gradients] : [logits, gradients],
    signs: ['→', '→'],
    target: 'dx',
    explain,
    near: sameSpot,
  };
}

const LOSS_WORDS = {
  cross_entropy: 'L = −Σ t·log p, p = softmax of the outputs',
  mse: 'L = ½ Σ (y − t)²',
  hinge: 'L = Σ max(0, 1 − s·y), s = ±1',
  multi_margin: 'L = 1/classes · Σ max(0, margin − y(label) + y)',
};
const LOSS_SLOPES = {
  cross_entropy: 'probability minus target, by the number of images',
  mse: 'y − t, by the number of images',
  hinge: '−s where the margin is missed, else 0',
  multi_margin: '1/classes where the margin is missed; the label gets minus their sum',
};
