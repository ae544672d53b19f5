// Layers that work on each value alone: y = f(z), dL/dz = dL/dy f'(z).

const sigmoid = z => (z >= 0 ? 1 / (1 + Math.exp(-z)) : Math.exp(z) / (1 + Math.exp(z)));
const density = z => Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI);

// the standard normal distribution function: a series near zero, a continued fraction far from it
function normal(z) {
  const size = Math.abs(z);
  if (size > 39) return z > 0 ? 1 : 0;
  if (size < 3.5) {
    let term = z,
      sum = z;
    for (let n = 1; n < 200 && Math.abs(term) > 1e-18 * Math.abs(sum); n++) {
      term *= (z * z) / (2 * n + 1);
      sum += term;
    }
    return 0.5 + density(z) * sum;
  }
  let fraction = 0;
  for (let n = 120; n > 0; n--) fraction = n / (size + fraction);
  const tail = density(size) / (size + fraction);
  return z > 0 ? 1 - tail : tail;
}

const GELU = Math.sqrt(2 / Math.PI);
const geluSlope = z => 2 * GELU * (z + 0.044715 * z ** 3);

// value f(z), slope f'(z), and both in words; `s` holds the layer's settings
const CURVES = {
  relu: {
    value: z => (z > 0 ? z : z <= 0 ? 0 : z),
    slope: z => (z > 0 ? 1 : 0),
    words: 'max(z, 0)',
    slopeWords: '1 where z > 0, else 0',
    kink: true,
  },
  leaky_relu: {
    value: (z, s) => (z > 0 ? z : s.slope * z),
    slope: (z, s) => (z > 0 ? 1 : s.slope),
    words: 'z where z > 0, else slope·z',
    slopeWords: '1 where z > 0, else slope',
    kink: true,
  },
  sigmoid: {value: sigmoid, slope: z => sigmoid(z) * sigmoid(-z), words: '1 / (1 + e⁻ᶻ)', slopeWords: 'y (1 − y)'},
  tanh: {value: z => Math.tanh(z), slope: z => 1 - Math.tanh(z) ** 2, words: 'tanh z', slopeWords: '1 − y²'},
  elu: {
    value: (z, s) => (z > 0 ? z : s.alpha * Math.expm1(z)),
    slope: (z, s) => (z > 0 ? 1 : s.alpha * Math.exp(z)),
    words: 'z where z > 0, else α (eᶻ − 1)',
    slopeWords: '1 where z > 0, else y + α',
    kink: true,
  },
  selu: {
    value: (z, s) => (z > 0 ? s.positive * z : s.alpha * Math.expm1(z)),
    slope: (z, s) => (z > 0 ? s.positive : s.alpha * Math.exp(z)),
    words: '1.0507 z where z > 0, else 1.7581 (eᶻ − 1)',
    slopeWords: '1.0507 where z > 0, else y + 1.7581',
    kink: true,
  },
  silu: {
    value: z => z * sigmoid(z),
    slope: z => sigmoid(z) * (1 + z * sigmoid(-z)),
    words: 'z σ(z)',
    slopeWords: 'σ(z) (1 + z (1 − σ(z)))',
  },
  gelu: {
    value: (z, s) => (s.approximate === 'tanh' ? z * sigmoid(geluSlope(z)) : z * normal(z)),
    slope: (z, s) =>
      s.approximate === 'tanh'
        ? sigmoid(geluSlope(z)) * (1 + z * sigmoid(-geluSlope(z)) * 2 * GELU * (1 + 3 * 0.044715 * z * z))
        : normal(z) + z * density(z),
    words: 'z P(z), P the normal distribution',
    slopeWords: 'P(z) + z p(z)',
  },
  softplus: {
    value: (z, s) => Math.max(z, 0) + Math.log1p(Math.exp(-s.beta * Math.abs(z))) / s.beta,
    slope: (z, s) => sigmoid(s.beta * z),
    words: 'log(1 + e^(β z)) / β',
    slopeWords: 'σ(β z)',
  },
};

// At a corner, where z is zero but for rounding, the side on which the kernels were is as good as the other.
function sideOf(layer, z, index) {
  return Math.abs(z) < 1e-12 && layer.decisions !== null ? (layer.decisions[index] ? 1e-300 : -1e-300) : z;
}

for (const [name, curve] of Object.entries(CURVES))
  FORMULAS[name] = {
    forward: (layer, z) => z.map(value => curve.value(value, layer.settings)),
    backward: (layer, z, y, dy) => ({
      dx: dy.map((g, i) => g * curve.slope(curve.kink ? sideOf(layer, z[i], i) : z[i], layer.settings)),
      parameters: {},
    }),
  };

const slopeAt = (layer, channel) => {
  const slopes = layer.parameters.slope.value;
  return slopes[slopes.length === 1 ? 0 : channel];
};
const channelOf = (shape, index) => Math.floor(index / (shape[1] * shape[2])) % shape[0];

FORMULAS.prelu = {
  forward: (layer, z) => z.map((value, i) => (value > 0 ? value : slopeAt(layer, channelOf(layer.in, i)) * value)),
  backward(layer, z, y, dy) {
    const slope = new Float64Array(layer.parameters.slope.value.length);
    const dx = dy.map((g, i) => {
      if (sideOf(layer, z[i], i) > 0) return g;
      const channel = channelOf(layer.in, i);
      slope[slope.length === 1 ? 0 : channel] += g * z[i];
      return slopeAt(layer, channel) * g;
    });
    return {dx, parameters: {slope}};
  },
};

// 1 / (1 - rate) where a value was kept, 0 where it was dropped; what was dropped is seen in the trace: x or dL/dy was
// not zero, and y or dL/dx is.
function dropoutFactor(layer, i) {
  const {x, y, dy, dx} = layer;
  const kept = x[i] !== 0 ? y[i] !== 0 : dy !== null && dx !== null && dy[i] !== 0 ? dx[i] !== 0 : true;
  return kept ? 1 / (1 - layer.settings.rate) : 0;
}

FORMULAS.dropout = {
  forward: (layer, x) => x.map((value, i) => value * dropoutFactor(layer, i)),
  backward: (layer, x, y, dy) => ({dx: dy.map((g, i) => g * dropoutFactor(layer, i)), parameters: {}}),
};

FORMULAS.flatten = {
  forward: (layer, x) => x.slice(),
  backward: (layer, x, y, dy) => ({dx: dy.slice(), parameters: {}}),
};
