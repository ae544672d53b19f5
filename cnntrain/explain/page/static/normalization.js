// Batch normalisation and local response normalisation.

// calls visit(index) for every value of a channel, in all images
function eachOfChannel(layer, images, channel, visit) {
  const pixels = layer.in[1] * layer.in[2];
  for (let n = 0; n < images; n++) {
    const first = (n * layer.in[0] + channel) * pixels;
    for (let i = first; i < first + pixels; i++) visit(i);
  }
}

// mean, variance and root of a channel: of the batch, or the running ones where the layer is frozen
function moments(layer, x, images, channel) {
  const {epsilon, frozen} = layer.settings;
  let count = 0,
    mean = 0,
    variance = 0;
  if (frozen) {
    mean = layer.statistics.running_mean[0][channel];
    variance = layer.statistics.running_variance[0][channel];
  } else {
    eachOfChannel(layer, images, channel, i => {
      mean += x[i];
      count++;
    });
    mean /= count;
    eachOfChannel(layer, images, channel, i => {
      variance += (x[i] - mean) ** 2;
    });
    variance /= count;
  }
  return {count, mean, variance, root: Math.sqrt(variance + epsilon)};
}

const ofChannel = (layer, name, channel, otherwise) =>
  layer.parameters[name] ? layer.parameters[name].value[channel] : otherwise;

FORMULAS.batch_norm2d = {
  // y = scale (x - mean) / sqrt(variance + epsilon) + shift
  forward(layer, x, images) {
    const y = new Float64Array(x.length);
    for (let c = 0; c < layer.in[0]; c++) {
      const {mean, root} = moments(layer, x, images, c);
      const scale = ofChannel(layer, 'scale', c, 1),
        shift = ofChannel(layer, 'shift', c, 0);
      eachOfChannel(layer, images, c, i => {
        y[i] = (scale * (x[i] - mean)) / root + shift;
      });
    }
    return y;
  },
  // dL/dx = scale / root (g - sum g / M - (x - mean) / root^2 sum g (x - mean) / M)
  backward(layer, x, y, dy, images) {
    const dx = new Float64Array(x.length);
    const scales = new Float64Array(layer.in[0]),
      shifts = new Float64Array(layer.in[0]);
    for (let c = 0; c < layer.in[0]; c++) {
      const {count, mean, root} = moments(layer, x, images, c);
      let total = 0,
        product = 0;
      eachOfChannel(layer, images, c, i => {
        total += dy[i];
        product += dy[i] * (x[i] - mean);
      });
      shifts[c] = total;
      scales[c] = product / root;
      const {frozen} = layer.settings;
      const scale = ofChannel(layer, 'scale', c, 1);
      const offset = frozen ? 0 : total / count,
        slope = frozen ? 0 : product / (root * root * count);
      eachOfChannel(layer, images, c, i => {
        dx[i] = (scale / root) * (dy[i] - offset - slope * (x[i] - mean));
      });
    }
    const parameters = {};
    if (layer.parameters.scale) parameters.scale = scales;
    if (layer.parameters.shift) parameters.shift = shifts;
    return {dx, parameters};
  },
};

// flat indices of the neighbours of a value, itself included
function neighbours(layer, index) {
  const {size, region} = layer.settings;
  const [C, H, W] = layer.in;
  const image = Math.floor(index / (C * H * W)) * C * H * W;
  const [c, i, j] = placeIn(layer.in, index - image);
  const reach = (size - 1) / 2;
  const [dc, di] = region === 'across_channels' ? [reach, 0] : [0, reach];
  const found = [];
  for (let m = Math.max(i - di, 0); m <= Math.min(i + di, H - 1); m++)
    for (let q = Math.max(j - di, 0); q <= Math.min(j + di, W - 1); q++)
      for (let k = Math.max(c - dc, 0); k <= Math.min(c + dc, C - 1); k++) found.push(image + (k * H + m) * W + q);
  return found;
}

// scale = k + alpha / n sum of squares of the neighbours
function responseShare(layer) {
  const {alpha, size, region} = layer.settings;
  return alpha / (region === 'across_channels' ? size : size * size);
}

function responseScale(layer, x, index) {
  let squares = 0;
  for (const i of neighbours(layer, index)) squares += x[i] * x[i];
  return layer.settings.k + responseShare(layer) * squares;
}

FORMULAS.local_response_norm = {
  forward: (layer, x) => x.map((value, i) => value * responseScale(layer, x, i) ** -layer.settings.beta),
  // dL/dx = g scale^-beta - 2 alpha beta / n x sum of g y / scale over the neighbours
  backward(layer, x, y, dy) {
    const {beta} = layer.settings;
    const scale = x.map((_, i) => responseScale(layer, x, i));
    const ratios = x.map((_, i) => (dy[i] * y[i]) / scale[i]);
    const dx = x.map((value, i) => {
      let total = 0;
      for (const k of neighbours(layer, i)) total += ratios[k];
      return dy[i] * scale[i] ** -beta - 2 * responseShare(layer) * beta * value * total;
    });
    return {dx, parameters: {}};
  },
};
