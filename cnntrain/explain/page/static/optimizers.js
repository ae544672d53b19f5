// One step of an optimiser on one number. w value, g gradient after clipping and with the pull of the decays,
// `kept` what the optimiser keeps for this number; each rule returns the new w and writes to `kept`.

// lines(o, w, g, kept, after) tells the same in words: [formula, value] in the order of the computation.
const RULES = {};

RULES.sgd = {
  step({settings, rate}, w, g, kept) {
    const before = kept.velocity;
    if (settings.form === 'caffe') {
      kept.velocity = settings.momentum * before + rate * g;
      return w - (settings.nesterov ? kept.velocity + settings.momentum * (kept.velocity - before) : kept.velocity);
    }
    kept.velocity = settings.momentum * before + g;
    return w - rate * (settings.nesterov ? g + settings.momentum * kept.velocity : kept.velocity);
  },
  words({settings}) {
    const v = settings.form === 'caffe' ? 'momentum·v + rate·g' : 'momentum·v + g';
    const plain = settings.form === 'caffe' ? 'w − v′' : 'w − rate·v′';
    const ahead = settings.form === 'caffe' ? 'w − (v′ + momentum·(v′ − v))' : 'w − rate·(g + momentum·v′)';
    return [
      ['v′', v, 'velocity'],
      ['w′', settings.nesterov ? ahead : plain, null],
    ];
  },
};

RULES.adam = {
  step({settings, rate, t, pulled, decoupled}, w, g, kept) {
    const [beta1, beta2] = settings.betas;
    if (decoupled) w -= rate * pulled;
    kept.mean += (1 - beta1) * (g - kept.mean);
    kept.square = beta2 * kept.square + (1 - beta2) * g * g;
    const root = Math.sqrt(1 - beta2 ** t);
    const eps = settings.form === 'pytorch' ? settings.eps : settings.eps / root;
    return w - (rate * (kept.mean / (1 - beta1 ** t))) / (Math.sqrt(kept.square) / root + eps);
  },
  words: ({settings, decoupled}) => [
    ['m′', 'm + (1 − β₁)(g − m)', 'mean'],
    ['s′', 'β₂ s + (1 − β₂) g²', 'square'],
    [
      'w′',
      `w${decoupled ? ' − rate·decay·w' : ''} − rate · m′/(1 − β₁ᵗ) / ${
        settings.form === 'pytorch' ? '(√(s′/(1 − β₂ᵗ)) + ε)' : '((√s′ + ε)/√(1 − β₂ᵗ))'
      }`,
      null,
    ],
  ],
};
RULES.adamw = RULES.adam;

RULES.rmsprop = {
  step({settings, rate}, w, g, kept) {
    const {alpha, eps, momentum, centered, form} = settings;
    kept.square = alpha * kept.square + (1 - alpha) * g * g;
    let square = kept.square;
    if (centered) {
      kept.mean += (1 - alpha) * (g - kept.mean);
      square = Math.max(square - kept.mean * kept.mean, 0);
    }
    const direction = g / (form === 'keras' ? Math.sqrt(square + eps) : Math.sqrt(square) + eps);
    if (momentum === 0) return w - rate * direction;
    kept.velocity = momentum * kept.velocity + (form === 'keras' ? rate * direction : direction);
    return w - (form === 'keras' ? kept.velocity : rate * kept.velocity);
  },
  words: ({settings: {centered, momentum, form}}) => [
    ['s′', 'α s + (1 − α) g²', 'square'],
    ...(centered ? [['m′', 'm + (1 − α)(g − m)', 'mean']] : []),
    ...(momentum
      ? [['v′', `momentum·v + ${form === 'keras' ? 'rate·' : ''}g/${rootWords(centered, form)}`, 'velocity']]
      : []),
    ['w′', momentum ? (form === 'keras' ? 'w − v′' : 'w − rate·v′') : `w − rate·g/${rootWords(centered, form)}`, null],
  ],
};
const rootWords = (centered, form) => {
  const inside = centered ? 's′ − m′²' : 's′';
  return form === 'keras' ? `√(${inside} + ε)` : `(√(${inside}) + ε)`;
};

RULES.adagrad = {
  step({settings, rate, t}, w, g, kept) {
    const {learning_rate_decay: decay, eps, form} = settings;
    kept.sum += g * g;
    return (
      w -
      ((rate / (1 + (t - 1) * decay)) * g) / (form === 'keras' ? Math.sqrt(kept.sum + eps) : Math.sqrt(kept.sum) + eps)
    );
  },
  words: ({settings: {form}}) => [
    ['s′', 's + g²', 'sum'],
    ['w′', `w − rate·g/${form === 'keras' ? '√(s′ + ε)' : '(√s′ + ε)'}`, null],
  ],
};

RULES.adadelta = {
  step({settings: {rho, eps}, rate}, w, g, kept) {
    kept.square = rho * kept.square + (1 - rho) * g * g;
    const delta = (Math.sqrt(kept.delta + eps) / Math.sqrt(kept.square + eps)) * g;
    kept.delta = rho * kept.delta + (1 - rho) * delta * delta;
    return w - rate * delta;
  },
  words: () => [
    ['s′', 'ρ s + (1 − ρ) g²', 'square'],
    ['u′', 'ρ u + (1 − ρ) d²,  d = g √(u + ε)/√(s′ + ε)', 'delta'],
    ['w′', 'w − rate·d', null],
  ],
};

const sign = w => (w > 0 ? 1 : w < 0 ? -1 : 0);

// Clipping by norm scales all gradients alike: the factor, from the gradients of all parameters that move.
function clipScale(trace, gradientOf) {
  const {clip_norm: limit} = trace.optimizer.settings;
  if (limit === null || limit === undefined) return 1;
  let squares = 0;
  for (const {layer, name, parameter} of trace.parameters)
    if (parameter.rate !== 0) for (const g of gradientOf(layer, name)) squares += g * g;
  const scale = limit / (Math.sqrt(squares) + 1e-6);
  return scale > 1 ? 1 : scale;
}

// One number of a parameter through the step.
function updateOne(trace, parameter, raw, index, scale) {
  const {settings, rate, name, stepsAfter} = trace.optimizer;
  const w = parameter.value[index];
  const limit = settings.clip_value ?? Infinity;
  const clipped = Math.max(-limit, Math.min(limit, raw * scale));
  const pulled = settings.weight_decay * parameter.decay * w + settings.l1_decay * parameter.decay * sign(w);
  const decoupled = name === 'adamw';
  const g = decoupled ? clipped : clipped + pulled;
  const kept = {};
  for (const [slot, [before]] of Object.entries(parameter.kept)) kept[slot] = before[index];
  const own = {settings, rate: rate * parameter.rate, t: stepsAfter, pulled, decoupled};
  const updated = parameter.rate === 0 ? w : RULES[name].step(own, w, g, kept);
  if ('average' in kept)
    kept.average = stepsAfter === 1 ? updated : kept.average + (1 - settings.ema) * (updated - kept.average);
  return {w, raw, clipped, pulled, g, kept, updated, own};
}
