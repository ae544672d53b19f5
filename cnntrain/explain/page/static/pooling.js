// Pooling: the windows, the largest value and where it was, the mean.

function poolShape(layer) {
  const {
    taps: [R, S],
    stride,
    before,
  } = layer.settings;
  const [C, H, W] = layer.in;
  const [, P, Q] = layer.out;
  return {R, S, C, H, W, P, Q, tr: stride[0], ts: stride[1], pr: before[0], ps: before[1]};
}

// the pixels of window (i, j) that lie inside the image: {tap, m, q}
function windowPixels(g, i, j) {
  const pixels = [];
  for (let r = 0; r < g.R; r++)
    for (let s = 0; s < g.S; s++) {
      const m = i * g.tr + r - g.pr,
        q = j * g.ts + s - g.ps;
      if (m >= 0 && m < g.H && q >= 0 && q < g.W) pixels.push({tap: r * g.S + s, m, q});
    }
  return pixels;
}

// calls visit(plane, window, pixels): flat index of the channel's first pixel and of the window, pixels of the window
function eachWindow(layer, images, visit) {
  const g = poolShape(layer);
  for (let i = 0; i < g.P; i++)
    for (let j = 0; j < g.Q; j++) {
      const pixels = windowPixels(g, i, j);
      for (let plane = 0; plane < images * g.C; plane++)
        visit(plane * g.H * g.W, (plane * g.P + i) * g.Q + j, pixels, g, i, j);
    }
}

// The flat index of the winner of a window: the first of the largest. Two values that differ by rounding alone are equal
// for us: then the kernels' choice is as good as any, and is taken.
function winner(layer, x, plane, window, pixels, g) {
  let best = null;
  for (const {tap, m, q} of pixels) {
    const at = plane + m * g.W + q;
    if (best === null || x[at] > x[best.at] || (Number.isNaN(x[at]) && !Number.isNaN(x[best.at]))) best = {at, tap};
  }
  const theirs = layer.decisions === null ? best.tap : layer.decisions[window];
  const choice = pixels.find(pixel => pixel.tap === theirs);
  if (choice === undefined) return best.at;
  const at = plane + choice.m * g.W + choice.q;
  return Math.abs(x[at] - x[best.at]) <= 1e-12 * Math.max(1, Math.abs(x[best.at])) ? at : best.at;
}

FORMULAS.max_pool2d = {
  forward(layer, x, images) {
    const y = new Float64Array(images * sizeOf(layer.out));
    eachWindow(layer, images, (plane, window, pixels, g) => {
      y[window] = x[winner(layer, x, plane, window, pixels, g)];
    });
    return y;
  },
  // each gradient goes to its winner
  backward(layer, x, y, dy, images) {
    const dx = new Float64Array(x.length);
    eachWindow(layer, images, (plane, window, pixels, g) => {
      dx[winner(layer, x, plane, window, pixels, g)] += dy[window];
    });
    return {dx, parameters: {}};
  },
};

// How many places of a window count in its mean: with count_padding the zeros too, but nothing beyond them.
function divisorOf(layer, g, i, j, pixels) {
  if (!layer.settings.count_padding) return pixels.length;
  const rows = Math.min(i * g.tr + g.R, g.H + 2 * g.pr) - i * g.tr;
  const columns = Math.min(j * g.ts + g.S, g.W + 2 * g.ps) - j * g.ts;
  return rows * columns;
}

FORMULAS.avg_pool2d = FORMULAS.global_avg_pool2d = {
  forward(layer, x, images) {
    const y = new Float64Array(images * sizeOf(layer.out));
    eachWindow(layer, images, (plane, window, pixels, g, i, j) => {
      let sum = 0;
      for (const {m, q} of pixels) sum += x[plane + m * g.W + q];
      y[window] = sum / divisorOf(layer, g, i, j, pixels);
    });
    return y;
  },
  // each pixel gets an equal share
  backward(layer, x, y, dy, images) {
    const dx = new Float64Array(x.length);
    eachWindow(layer, images, (plane, window, pixels, g, i, j) => {
      for (const {m, q} of pixels) dx[plane + m * g.W + q] += dy[window] / divisorOf(layer, g, i, j, pixels);
    });
    return {dx, parameters: {}};
  },
};
