// How the numbers of batch normalisation and local response normalisation came about.

VIEWS.batch_norm2d = {
  forward(layer, n, trace) {
    const x = inputPanel(layer, n),
      y = outputPanel(layer, n);
    const explain = index => {
      const c = channelOf(layer.in, index),
        {count, mean, variance, root} = moments(layer, layer.x, trace.images, c);
      const scale = ofChannel(layer, 'scale', c, 1),
        shift = ofChannel(layer, 'shift', c, 0),
        value = numberAt(x, index);
      const normal = (value - mean) / root;
      const whose = layer.settings.frozen ? 'the running one' : `over the ${count} values of channel ${c} in the batch`;
      return {
        name: `y[${y.label(index)}]`,
        words: 'y = scale · (x − mean) / √(variance + ε) + shift',
        value: scale * normal + shift,
        kernel: numberAt(y, index),
        parts: [],
        lines: [
          ['mean', whose, mean],
          ['variance', whose, variance],
          ['x̂', `(${show(value)} − ${factor(mean)}) / √(${show(variance)} + ${show(layer.settings.epsilon)})`, normal],
          ['y', `${factor(scale)} · ${factor(normal)} + ${factor(shift)}`, scale * normal + shift],
        ],
        lit: {x: [{...spotOf(x, index), whole: true}]},
        arrows: [],
        origin: {side: 'x', index},
      };
    };
    return {panels: [x, y], signs: ['→'], target: 'y', explain, near: sameSpot};
  },
  input(layer, n, trace) {
    const x = inputPanel(layer, n),
      dy = deltaPanel(layer, n),
      dx = gradientPanel(layer, n);
    const explain = index => {
      const c = channelOf(layer.in, index),
        {count, mean, root} = moments(layer, layer.x, trace.images, c);
      const scale = ofChannel(layer, 'scale', c, 1),
        {frozen} = layer.settings;
      let sum = 0,
        product = 0;
      eachOfChannel(layer, trace.images, c, i => {
        sum += layer.dy[i];
        product += (layer.dy[i] * (layer.x[i] - mean)) / root;
      });
      const g = numberAt(dy, index),
        normal = (numberAt(x, index) - mean) / root;
      const first = frozen ? 0 : sum / count,
        second = frozen ? 0 : (normal * product) / count;
      return {
        name: `dL/dx[${dx.label(index)}]`,
        words: frozen
          ? 'scale / √(variance + ε) · δ: the statistics are constants'
          : 'scale / √(variance + ε) · (δ − mean of δ − x̂ · mean of δ x̂)',
        value: (scale / root) * (g - first - second),
        kernel: numberAt(dx, index),
        parts: [],
        lines: [
          ['δ', null, g],
          ['by the mean', `Σδ / ${count}`, first],
          ['by the variance', `x̂ · Σδx̂ / ${count}`, second],
          [
            'dL/dx',
            `${factor(scale)} / ${show(root)} · (${show(g)} − ${factor(first)} − ${factor(second)})`,
            (scale / root) * (g - first - second),
          ],
        ],
        lit: {x: [{...spotOf(x, index), whole: true}], dy: [{...spotOf(dy, index), whole: true}]},
        arrows: [],
        origin: {side: 'dy', index},
      };
    };
    return {panels: [dy, x, dx], signs: ['⊙', '='], target: 'dx', explain, near: sameSpot};
  },
  parameter(layer, n, name, trace) {
    const stats = Array.from({length: layer.in[0]}, (_, c) => moments(layer, layer.x, trace.images, c));
    if (name === 'shift')
      return channelSum(layer, n, name, trace, 'Σ δ over the channel', i => [['delta', layer.dy[i]]]);
    return channelSum(layer, n, name, trace, 'Σ δ·x̂ over the channel, x̂ the normalised input', i => {
      const {mean, root} = stats[channelOf(layer.in, i)];
      return [
        ['delta', layer.dy[i]],
        ['value', (layer.x[i] - mean) / root],
      ];
    });
  },
};

VIEWS.local_response_norm = {
  forward(layer, n) {
    const x = inputPanel(layer, n),
      y = outputPanel(layer, n),
      {beta, k} = layer.settings;
    const explain = index => {
      const near = neighbours(layer, x.base + index).map(i => i - x.base);
      const parts = [
        part(
          'squares of the neighbours',
          spotOf(x, index).map,
          near.map(i =>
            term(
              [
                ['value', numberAt(x, i)],
                ['value', numberAt(x, i)],
              ],
              {x: spotOf(x, i)},
              {side: 'x', index: i},
            ),
          ),
        ),
      ];
      const scale = responseScale(layer, layer.x, x.base + index),
        value = numberAt(x, index) * scale ** -beta;
      return {
        name: `y[${y.label(index)}]`,
        words: 'y = x / (k + α/n · Σ x² of the neighbours)^β',
        value,
        kernel: numberAt(y, index),
        parts,
        lines: [
          ['scale', `${show(k)} + ${show(responseShare(layer))} · ${show(parts[0].sum)}`, scale],
          ['y', `${factor(numberAt(x, index))} · ${show(scale)}^${factor(-beta)}`, value],
        ],
        lit: litBy(parts, 'x'),
        arrows: [],
        origin: {side: 'x', index},
        partial: true,
      };
    };
    return {panels: [x, y], signs: ['→'], target: 'y', explain, near: sameSpot};
  },
  input(layer, n) {
    const x = inputPanel(layer, n),
      dy = deltaPanel(layer, n),
      dx = gradientPanel(layer, n),
      {beta} = layer.settings;
    const explain = index => {
      const near = neighbours(layer, x.base + index).map(i => i - x.base);
      const scaleAt = i => responseScale(layer, layer.x, x.base + i);
      const parts = [
        part(
          'δ·y / scale of the neighbours',
          spotOf(x, index).map,
          near.map(i =>
            term(
              [
                ['delta', numberAt(dy, i)],
                ['value', layer.y[x.base + i] / scaleAt(i)],
              ],
              {x: spotOf(x, i), dy: spotOf(dy, i)},
              {side: 'dy', index: i},
            ),
          ),
        ),
      ];
      const direct = numberAt(dy, index) * scaleAt(index) ** -beta;
      const through = -2 * responseShare(layer) * beta * numberAt(x, index) * parts[0].sum;
      return {
        name: `dL/dx[${dx.label(index)}]`,
        words: 'δ · scale^−β − 2 α β / n · x · Σ δ y / scale',
        value: direct + through,
        kernel: numberAt(dx, index),
        parts,
        lines: [
          ['direct', `δ · ${show(scaleAt(index))}^${factor(-beta)}`, direct],
          ['by the scale', 'through all neighbours', through],
          ['dL/dx', null, direct + through],
        ],
        lit: litBy(parts, 'x', 'dy'),
        arrows: [],
        origin: {side: 'dy', index},
        partial: true,
      };
    };
    return {panels: [dy, x, dx], signs: ['⊙', '='], target: 'dx', explain, near: sameSpot};
  },
};
