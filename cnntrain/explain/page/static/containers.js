// Layers that contain layers. `run` runs a list of layers: forward(layers, x), backward(layers, delta).

function addTo(total, array) {
  for (let i = 0; i < total.length; i++) total[i] += array[i];
  return total;
}

// calls visit(input, output) for each pixel that a zero-padded shortcut takes
function eachTaken(layer, images, visit) {
  const [C, H, W] = layer.in,
    [K, P, Q] = layer.out;
  const [tr, ts] = layer.settings.steps;
  for (let n = 0; n < images; n++)
    for (let c = 0; c < C; c++)
      for (let i = 0; i < P; i++)
        for (let j = 0; j < Q; j++) visit(((n * C + c) * H + i * tr) * W + j * ts, ((n * K + c) * P + i) * Q + j);
}

FORMULAS.residual = {
  // y = body(x) + shortcut(x)
  forward(layer, x, images, run) {
    const y = run.forward(layer.parts[0].layers, x).slice();
    if (layer.parts.length > 1) return addTo(y, run.forward(layer.parts[1].layers, x));
    eachTaken(layer, images, (input, output) => {
      y[output] += x[input];
    });
    return y;
  },
  backward(layer, x, y, dy, images, run) {
    const dx = run.backward(layer.parts[0].layers, dy).slice();
    if (layer.parts.length > 1) addTo(dx, run.backward(layer.parts[1].layers, dy));
    else
      eachTaken(layer, images, (input, output) => {
        dx[input] += dy[output];
      });
    return {dx, parameters: {}};
  },
};

// Which part a channel of the output comes from where channels are put side by side, and where that part's begin.
function partChannels(layer) {
  let first = 0;
  return layer.parts.map(part => {
    const channels = part.layers.length ? part.layers[part.layers.length - 1].out[0] : layer.in[0];
    first += channels;
    return {first: first - channels, channels};
  });
}

function copyChannels(layer, images, part, whole, piece, toWhole) {
  const {first, channels} = partChannels(layer)[part];
  const pixels = layer.out[1] * layer.out[2];
  for (let n = 0; n < images; n++)
    for (let i = 0; i < channels * pixels; i++) {
      const at = (n * layer.out[0] + first) * pixels + i;
      if (toWhole) whole[at] = piece[n * channels * pixels + i];
      else piece[n * channels * pixels + i] = whole[at];
    }
  return piece;
}

FORMULAS.branches = {
  forward(layer, x, images, run) {
    const y = new Float64Array(images * sizeOf(layer.out));
    layer.parts.forEach((part, number) => {
      const made = run.forward(part.layers, x);
      if (layer.settings.merge === 'add') addTo(y, made);
      else copyChannels(layer, images, number, y, made, true);
    });
    return y;
  },
  backward(layer, x, y, dy, images, run) {
    const dx = new Float64Array(x.length);
    layer.parts.forEach((part, number) => {
      const {channels} = partChannels(layer)[number];
      const own =
        layer.settings.merge === 'add'
          ? dy
          : copyChannels(
              layer,
              images,
              number,
              dy,
              new Float64Array(images * channels * layer.out[1] * layer.out[2]),
              false,
            );
      addTo(dx, run.backward(part.layers, own));
    });
    return {dx, parameters: {}};
  },
};

FORMULAS.repeat = {
  forward: (layer, x, images, run) => run.forward(layer.parts[0].layers, x),
  backward: (layer, x, y, dy, images, run) => ({dx: run.backward(layer.parts[0].layers, dy), parameters: {}}),
};
