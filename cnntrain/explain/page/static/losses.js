// Losses: of each image, and dL/d(outputs) of their mean. y outputs (images, classes), t targets.

const LOSSES = {};

function softmax(y, first, classes) {
  let largest = -Infinity,
    total = 0;
  for (let j = 0; j < classes; j++) largest = Math.max(largest, y[first + j]);
  const p = new Float64Array(classes);
  for (let j = 0; j < classes; j++) total += p[j] = Math.exp(y[first + j] - largest);
  for (let j = 0; j < classes; j++) p[j] /= total;
  return {p, logTotal: Math.log(total) + largest};
}

// The target of class j: (1 - smoothing) [j = label] + smoothing / classes, times the class's weight.
function targetOf(settings, classes, label, j) {
  const {label_smoothing: smoothing, class_weights: weights} = settings;
  const own = j === label ? (1 - smoothing) * (weights ? weights[label] : 1) : 0;
  return own + (smoothing / classes) * (weights ? weights[j] : 1);
}

const imageWeight = (settings, label) => (settings.class_weights ? settings.class_weights[label] : 1);

LOSSES.cross_entropy = {
  // L = -sum of t_j log p_j;  dL/dy_j = p_j sum of t - t_j
  image(y, first, classes, label, settings, gradient) {
    const {p, logTotal} = softmax(y, first, classes);
    let loss = 0,
      mass = 0;
    for (let j = 0; j < classes; j++) {
      const t = targetOf(settings, classes, label, j);
      mass += t;
      loss += t * (logTotal - y[first + j]);
    }
    for (let j = 0; j < classes; j++) gradient[first + j] = p[j] * mass - targetOf(settings, classes, label, j);
    return loss;
  },
  weight: (settings, labels) => labels.reduce((sum, label) => sum + imageWeight(settings, label), 0),
};

LOSSES.mse = {
  // C = 1/2 sum of (y_j - t_j)^2
  image(y, first, classes, label, settings, gradient) {
    let loss = 0;
    for (let j = 0; j < classes; j++) {
      const difference = y[first + j] - (j === label ? 1 : 0);
      gradient[first + j] = difference;
      loss += 0.5 * difference * difference;
    }
    return loss;
  },
};

LOSSES.hinge = {
  // L = sum of max(0, 1 - s_j y_j)^norm, s_j = 1 for the label, -1 for the others
  image(y, first, classes, label, {norm}, gradient) {
    let loss = 0;
    for (let j = 0; j < classes; j++) {
      const sign = j === label ? 1 : -1;
      const slack = Math.max(0, 1 - sign * y[first + j]);
      loss += slack ** norm;
      gradient[first + j] = slack > 0 ? -sign * (norm === 2 ? 2 * slack : 1) : 0;
    }
    return loss;
  },
};

LOSSES.multi_margin = {
  // L = 1/classes sum over j other than the label of max(0, margin - y_label + y_j)^norm
  image(y, first, classes, label, {norm, margin}, gradient) {
    let loss = 0;
    gradient[first + label] = 0;
    for (let j = 0; j < classes; j++) {
      if (j === label) continue;
      const slack = Math.max(0, margin - y[first + label] + y[first + j]);
      loss += slack ** norm / classes;
      gradient[first + j] = slack > 0 ? (norm === 2 ? 2 * slack : 1) / classes : 0;
      gradient[first + label] -= gradient[first + j];
    }
    return loss;
  },
};

// The mean over the images, and its gradient; without a formula, the kernels'.
function lossOf(trace, y) {
  const {
    loss: {name, settings, known},
    classes,
    labels,
  } = trace;
  const rule = known ? LOSSES[name] : undefined;
  if (rule === undefined) return {value: trace.loss.value, gradient: trace.gradLogits};
  const gradient = new Float64Array(y.length);
  const weight = rule.weight ? rule.weight(settings, labels) : labels.length;
  let total = 0;
  labels.forEach((label, n) => {
    total += rule.image(y, n * classes, classes, label, settings, gradient);
  });
  if (weight === 0) return {value: 0, gradient: gradient.fill(0)};
  return {value: total / weight, gradient: gradient.map(g => g / weight)};
}
