// Convolutions and dense layers, as loops over the formula. Letters: x image, w filter, z output, d delta = dL/dz;
// n image of the batch, k filter, c channel, (r, s) tap, (i, j) output, (m, q) input pixel.

const FORMULAS = {};

// tap (r, s) of filter k and channel c of its group, as the window meets it: convolution rotates it by 180 degrees
function tapIndex(layer, k, c, r, s) {
  const {
    taps: [R, S],
    rotated,
    groups,
  } = layer.settings;
  const perGroup = layer.in[0] / groups;
  return ((k * perGroup + c) * R + (rotated ? R - 1 - r : r)) * S + (rotated ? S - 1 - s : s);
}

function convolutionShape(layer) {
  const {
    taps: [R, S],
    stride,
    before,
    dilation,
    groups,
  } = layer.settings;
  const [C, H, W] = layer.in;
  const [K, P, Q] = layer.out;
  return {
    R,
    S,
    C,
    H,
    W,
    K,
    P,
    Q,
    groups,
    perGroup: C / groups,
    filtersPerGroup: K / groups,
    tr: stride[0],
    ts: stride[1],
    pr: before[0],
    ps: before[1],
    dr: dilation[0],
    ds: dilation[1],
  };
}

FORMULAS.conv2d = {
  // z = b + sum over c, r, s of w x
  forward(layer, x, images) {
    const g = convolutionShape(layer);
    const {weight, bias} = layer.parameters;
    const w = weight.value;
    const z = new Float64Array(images * g.K * g.P * g.Q);
    for (let n = 0, at = 0; n < images; n++)
      for (let k = 0; k < g.K; k++)
        for (let i = 0; i < g.P; i++)
          for (let j = 0; j < g.Q; j++, at++) {
            let sum = bias ? bias.value[k] : 0;
            const first = Math.floor(k / g.filtersPerGroup) * g.perGroup;
            for (let c = 0; c < g.perGroup; c++)
              for (let r = 0; r < g.R; r++) {
                const m = i * g.tr + r * g.dr - g.pr;
                if (m < 0 || m >= g.H) continue;
                for (let s = 0; s < g.S; s++) {
                  const q = j * g.ts + s * g.ds - g.ps;
                  if (q < 0 || q >= g.W) continue;
                  sum += w[tapIndex(layer, k, c, r, s)] * x[((n * g.C + first + c) * g.H + m) * g.W + q];
                }
              }
            z[at] = sum;
          }
    return z;
  },

  // to the input: the full convolution of delta with the rotated filter; to the weights: the valid correlation of x and d
  backward(layer, x, z, d, images) {
    const g = convolutionShape(layer);
    const {weight, bias} = layer.parameters;
    const w = weight.value;
    const dx = new Float64Array(x.length);
    const dw = new Float64Array(w.length);
    const db = new Float64Array(g.K);
    for (let n = 0; n < images; n++)
      for (let k = 0; k < g.K; k++) {
        const first = Math.floor(k / g.filtersPerGroup) * g.perGroup;
        for (let i = 0; i < g.P; i++)
          for (let j = 0; j < g.Q; j++) {
            const delta = d[((n * g.K + k) * g.P + i) * g.Q + j];
            db[k] += delta;
            for (let c = 0; c < g.perGroup; c++)
              for (let r = 0; r < g.R; r++) {
                const m = i * g.tr + r * g.dr - g.pr;
                if (m < 0 || m >= g.H) continue;
                for (let s = 0; s < g.S; s++) {
                  const q = j * g.ts + s * g.ds - g.ps;
                  if (q < 0 || q >= g.W) continue;
                  const tap = tapIndex(layer, k, c, r, s);
                  const pixel = ((n * g.C + first + c) * g.H + m) * g.W + q;
                  dx[pixel] += w[tap] * delta;
                  dw[tap] += x[pixel] * delta;
                }
              }
          }
      }
    return {dx, parameters: bias ? {weight: dw, bias: db} : {weight: dw}};
  },
};

FORMULAS.dense = {
  // z = W x + b
  forward(layer, x, images) {
    const {weight, bias} = layer.parameters;
    const units = layer.out[0],
      inputs = sizeOf(layer.in);
    const z = new Float64Array(images * units);
    for (let n = 0; n < images; n++)
      for (let k = 0; k < units; k++) {
        let sum = bias ? bias.value[k] : 0;
        for (let i = 0; i < inputs; i++) sum += weight.value[k * inputs + i] * x[n * inputs + i];
        z[n * units + k] = sum;
      }
    return z;
  },

  // dL/dx = W^T d, dL/dW = d x^T, dL/db = d, the last two summed over the images
  backward(layer, x, z, d, images) {
    const {weight, bias} = layer.parameters;
    const units = layer.out[0],
      inputs = sizeOf(layer.in);
    const dx = new Float64Array(x.length);
    const dw = new Float64Array(units * inputs);
    const db = new Float64Array(units);
    for (let n = 0; n < images; n++)
      for (let k = 0; k < units; k++) {
        const delta = d[n * units + k];
        db[k] += delta;
        for (let i = 0; i < inputs; i++) {
          dx[n * inputs + i] += weight.value[k * inputs + i] * delta;
          dw[k * inputs + i] += delta * x[n * inputs + i];
        }
      }
    return {dx, parameters: bias ? {weight: dw, bias: db} : {weight: dw}};
  },
};
