// Colours.

function theme() {
  // the page's colours, read once for each look
  const style = getComputedStyle(document.documentElement);
  const colour = name => style.getPropertyValue(`--${name}`).trim();
  const rgb = name =>
    colour(name)
      .match(/[0-9a-f]{2}/gi)
      .map(pair => parseInt(pair, 16));
  return {
    surface: rgb('cell'),
    positive: rgb('positive'),
    negative: rgb('negative'),
    paper: rgb('paper'),
    inkRgb: rgb('strong'),
    ink: colour('strong'),
    line: colour('line'),
    lit: colour('lit'),
    halo: colour('halo'),
  };
}

const mix = (from, to, share) => from.map((c, i) => Math.round(c + (to[i] - c) * share));

// The colour of a number among those of its panel: warm above zero, cold below; an image from paper to ink.
function colourOf(panel, value, look) {
  if (!Number.isFinite(value)) return [200, 0, 200];
  const largest = largestIn(panel);
  if (panel.kind === 'image' && panel.maps === 1) {
    const span = panel.high - panel.low;
    return mix(look.paper, look.inkRgb, span > 0 ? (value - panel.low) / span : 0);
  }
  const share = largest > 0 ? Math.abs(value) / largest : 0;
  return mix(look.surface, value >= 0 ? look.positive : look.negative, share ** 0.6);
}

const css = ([r, g, b]) => `rgb(${r},${g},${b})`;
const lightOf = ([r, g, b]) => {
  // relative luminance, as in WCAG 2
  const linear = c => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4);
  return 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
};
const BLACK_FROM = 0.179,
  VIOLET_FROM = 0.3; // on lighter grounds black (violet) has a contrast of 4.5 or more
