r"""The C functions that networks are made of: one for each kind of layer. A file gets those that it calls.

Images lie channel by channel, row by row: (C, H, W). The formulas are those of `cnntrain.kernels`.
"""

from __future__ import annotations

from typing import NamedTuple


class Function(NamedTuple):
    """A function's text.

    Attributes
    ----------
    text : str
    needs : tuple of str
        Functions and types before it.
    libm : bool
        It calls the C library's mathematics.
    """

    text: str
    needs: tuple[str, ...] = ()
    libm: bool = False


def _elementwise(name: str, formula: str, parameters: str = "") -> str:
    """A function of each value z alone."""
    more = f", {parameters}" if parameters else ""
    return f"""static void {name}(const float *x, float *y, int size{more})
{{
    for (int i = 0; i < size; i++) {{
        const float z = x[i];
        y[i] = {formula};
    }}
}}
"""


PARTS: dict[str, Function] = {
    "axis": Function("""/* A window along rows or columns: tap t of output i reads input i * stride - before + t * dilation. */
struct axis {
    int input, output, taps, stride, before, dilation;
};
"""),
    "taps": Function(
        """/* The outputs i for which a tap lies inside the image are first <= i < end. */
static int first_output(const struct axis *axis, int tap)
{
    const int missing = axis->before - tap * axis->dilation;
    return missing > 0 ? (missing + axis->stride - 1) / axis->stride : 0;
}

static int end_output(const struct axis *axis, int tap)
{
    const int room = axis->input + axis->before - tap * axis->dilation;
    const int end = room > 0 ? (room + axis->stride - 1) / axis->stride : 0;
    return end < axis->output ? end : axis->output;
}
""",
        ("axis",),
    ),
    "convolution": Function(
        """struct convolution {
    int channels, filters, groups;
    struct axis rows, columns;
};
""",
        ("axis",),
    ),
    "pooling": Function(
        """struct pooling {
    int channels;
    struct axis rows, columns;
};
""",
        ("axis",),
    ),
    "inside": Function(
        """/* The part of window i that lies inside the image: inputs first <= position < end. */
static int first_inside(const struct axis *axis, int i)
{
    const int start = i * axis->stride - axis->before;
    return start > 0 ? start : 0;
}

static int end_inside(const struct axis *axis, int i)
{
    const int end = i * axis->stride - axis->before + axis->taps;
    return end < axis->input ? end : axis->input;
}
""",
        ("axis",),
    ),
    "neighbourhood": Function("""struct neighbourhood {
    int channels, rows, columns, channel_reach, pixel_reach;
};
"""),
    "subsampling": Function("""struct subsampling {
    int channels, rows, columns, in_channels, in_rows, in_columns, row_stride, column_stride;
};
"""),
    "exponential": Function(
        """/* exp(x) for x <= 0, to 2 units in the last place: x = n ln 2 + r, and a polynomial in r. */
static float exponential(float x)
{
    union {
        uint32_t bits;
        float value;
    } power;
    if (x < -87.0f) {
        return 0.0f;
    }
    const int n = (int)(x * 1.44269504f - 0.5f);
    const float r = (x - (float)n * 0.693359375f) + (float)n * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    power.bits = (uint32_t)(n + 127) << 23;
    return x != x ? x : p * power.value;
}
"""
    ),
    "logistic": Function(
        """/* 1 / (1 + exp(-z)) */
static float logistic(float z)
{
    const float small = exponential(z < 0.0f ? z : -z);
    return (z < 0.0f ? small : 1.0f) / (1.0f + small);
}
""",
        ("exponential",),
    ),
    "normalize": Function("""/* x = pixel * scale + shift, both per channel */
static void normalize(const pixel *image, float *x, const float *scale, const float *shift, int channels, int pixels)
{
    for (int c = 0; c < channels; c++) {
        for (int i = 0; i < pixels; i++) {
            *x++ = (float)*image++ * scale[c] + shift[c];
        }
    }
}
"""),
    "normalize_by_pixel": Function("""/* x = pixel * scale + shift, a shift for each pixel: the mean image */
static void normalize_by_pixel(const pixel *image, float *x, const float *scale, const float *shift, int channels,
                               int pixels)
{
    for (int c = 0; c < channels; c++) {
        for (int i = 0; i < pixels; i++) {
            *x++ = (float)*image++ * scale[c] + *shift++;
        }
    }
}
"""),
    "conv2d": Function(
        """/* y = bias + the sum of w x over each window: tap by tap, what lies beside the image is left out. */
static void conv2d(const struct convolution *layer, const float *restrict x, float *restrict y, const float *weight,
                   const float *bias)
{
    const struct axis *rows = &layer->rows, *columns = &layer->columns;
    const int inputs = layer->channels / layer->groups, outputs = layer->filters / layer->groups;
    const int plane = rows->input * columns->input, pixels = rows->output * columns->output;
    for (int f = 0; f < layer->filters; f++, y += pixels) {
        for (int i = 0; i < pixels; i++) {
            y[i] = bias ? bias[f] : 0.0f;
        }
        for (int c = 0; c < inputs; c++) {
            const float *image = x + (f / outputs * inputs + c) * plane;
            for (int r = 0; r < rows->taps; r++) {
                const int end_row = end_output(rows, r);
                for (int s = 0; s < columns->taps; s++) {
                    const float w = *weight++;
                    const int left = first_output(columns, s), right = end_output(columns, s);
                    for (int i = first_output(rows, r); i < end_row; i++) {
                        const int row = i * rows->stride - rows->before + r * rows->dilation;
                        const float *in = image + row * columns->input - columns->before + s * columns->dilation;
                        float *out = y + i * columns->output;
                        for (int j = left; j < right; j++) {
                            out[j] += w * in[j * columns->stride];
                        }
                    }
                }
            }
        }
    }
}
""",
        ("convolution", "taps"),
    ),
    "dense": Function("""/* y = W x + bias */
static void dense(const float *restrict x, float *restrict y, int inputs, int units, const float *weight,
                  const float *bias)
{
    for (int u = 0; u < units; u++) {
        float sum = 0.0f;
        for (int i = 0; i < inputs; i++) {
            sum += *weight++ * x[i];
        }
        y[u] = bias ? sum + bias[u] : sum;
    }
}
"""),
    "max_pool2d": Function(
        """/* The largest value of each window; a NaN wins. */
static void max_pool2d(const struct pooling *layer, const float *restrict x, float *restrict y)
{
    const struct axis *rows = &layer->rows, *columns = &layer->columns;
    for (int c = 0; c < layer->channels; c++, x += rows->input * columns->input) {
        for (int i = 0; i < rows->output; i++) {
            for (int j = 0; j < columns->output; j++) {
                float most = x[first_inside(rows, i) * columns->input + first_inside(columns, j)];
                for (int row = first_inside(rows, i); row < end_inside(rows, i); row++) {
                    for (int column = first_inside(columns, j); column < end_inside(columns, j); column++) {
                        const float value = x[row * columns->input + column];
                        most = value > most || value != value ? value : most;
                    }
                }
                *y++ = most;
            }
        }
    }
}
""",
        ("pooling", "inside"),
    ),
    "avg_pool2d": Function(
        """/* How many places of window i count along an axis: with the padding, but not beyond it; or without. */
static int counted(const struct axis *axis, int i, int padding)
{
    const int start = i * axis->stride - axis->before, end = start + axis->taps, last = axis->input + axis->before;
    return padding ? (end < last ? end : last) - start : end_inside(axis, i) - first_inside(axis, i);
}

/* The mean of each window. */
static void avg_pool2d(const struct pooling *layer, const float *restrict x, float *restrict y, int padding)
{
    const struct axis *rows = &layer->rows, *columns = &layer->columns;
    for (int c = 0; c < layer->channels; c++, x += rows->input * columns->input) {
        for (int i = 0; i < rows->output; i++) {
            for (int j = 0; j < columns->output; j++) {
                float sum = 0.0f;
                for (int row = first_inside(rows, i); row < end_inside(rows, i); row++) {
                    float line = 0.0f;
                    for (int column = first_inside(columns, j); column < end_inside(columns, j); column++) {
                        line += x[row * columns->input + column];
                    }
                    sum += line;
                }
                *y++ = sum / (float)(counted(rows, i, padding) * counted(columns, j, padding));
            }
        }
    }
}
""",
        ("pooling", "inside"),
    ),
    "batch_norm2d": Function("""/* y = x * factor + summand, both per channel: running statistics, scale and shift in two numbers */
static void batch_norm2d(const float *x, float *y, int channels, int pixels, const float *factor, const float *summand)
{
    for (int c = 0; c < channels; c++) {
        for (int i = 0; i < pixels; i++) {
            *y++ = *x++ * factor[c] + summand[c];
        }
    }
}
"""),
    "local_response_norm": Function(
        """/* y = x / (k + share * sum of squares of the neighbours) ** beta */
static void local_response_norm(const struct neighbourhood *layer, const float *restrict x, float *restrict y,
                                float share, float beta, float k)
{
    const int pixels = layer->rows * layer->columns, reach = layer->pixel_reach, deep = layer->channel_reach;
    for (int c = 0; c < layer->channels; c++) {
        for (int row = 0; row < layer->rows; row++) {
            for (int column = 0; column < layer->columns; column++) {
                float sum = 0.0f;
                for (int d = c - deep; d <= c + deep; d++) {
                    for (int i = row - reach; i <= row + reach; i++) {
                        for (int j = column - reach; j <= column + reach; j++) {
                            if (d >= 0 && d < layer->channels && i >= 0 && i < layer->rows && j >= 0 &&
                                j < layer->columns) {
                                const float value = x[d * pixels + i * layer->columns + j];
                                sum += value * value;
                            }
                        }
                    }
                }
                *y++ = x[c * pixels + row * layer->columns + column] / powf(k + share * sum, beta);
            }
        }
    }
}
""",
        ("neighbourhood",),
        libm=True,
    ),
    "prelu": Function("""/* y = z where z > 0, slope z elsewhere; a slope for each channel */
static void prelu(const float *x, float *y, int channels, int pixels, const float *slope)
{
    for (int c = 0; c < channels; c++) {
        for (int i = 0; i < pixels; i++) {
            const float z = *x++;
            *y++ = z > 0.0f ? z : slope[c] * z;
        }
    }
}
"""),
    "add": Function("""static void add(const float *a, const float *b, float *y, int size)
{
    for (int i = 0; i < size; i++) {
        y[i] = a[i] + b[i];
    }
}
"""),
    "add_subsampled": Function(
        """/* y = a + every s-th pixel of the image, which has fewer channels */
static void add_subsampled(const struct subsampling *layer, const float *a, const float *image, float *y)
{
    const int plane = layer->in_rows * layer->in_columns;
    for (int c = 0; c < layer->channels; c++) {
        for (int i = 0; i < layer->rows; i++) {
            for (int j = 0; j < layer->columns; j++) {
                const int pixel = i * layer->row_stride * layer->in_columns + j * layer->column_stride;
                *y++ = *a++ + (c < layer->in_channels ? image[c * plane + pixel] : 0.0f);
            }
        }
    }
}
""",
        ("subsampling",),
    ),
    "copy": Function("""static void copy(const float *x, float *y, int size)
{
    for (int i = 0; i < size; i++) {
        y[i] = x[i];
    }
}
"""),
    "relu": Function(_elementwise("relu", "z <= 0.0f ? 0.0f : z")),  # so a NaN stays
    "leaky_relu": Function(_elementwise("leaky_relu", "z > 0.0f ? z : slope * z", "float slope")),
    "elu": Function(
        _elementwise("elu", "z <= 0.0f ? negative * expm1f(z) : positive * z", "float positive, float negative"),
        libm=True,
    ),
    "gelu": Function(_elementwise("gelu", "0.5f * z * (1.0f + erff(0.70710678f * z))"), libm=True),
    "gelu_tanh": Function(
        _elementwise("gelu_tanh", "z * logistic(1.59576912f * z * (1.0f + 0.044715f * z * z))"), ("logistic",)
    ),
    "silu": Function(_elementwise("silu", "z * logistic(z)"), ("logistic",)),
    "softplus": Function(
        _elementwise(
            "softplus",
            "(z <= 0.0f ? 0.0f : z) + log1pf(exponential(z < 0.0f ? beta * z : -beta * z)) / beta",
            "float beta",
        ),
        ("exponential",),
        libm=True,
    ),
    "sigmoid": Function(_elementwise("sigmoid", "logistic(z)"), ("logistic",)),
    "hyperbolic_tangent": Function(_elementwise("hyperbolic_tangent", "tanhf(z)"), libm=True),
    "softmax": Function(
        """/* Probabilities of logits; returns the class of the largest. */
static int softmax(const float *logits, float *probabilities, int classes)
{
    int best = 0;
    float sum = 0.0f;
    for (int i = 1; i < classes; i++) {
        best = logits[i] > logits[best] ? i : best;
    }
    for (int i = 0; i < classes; i++) {
        probabilities[i] = exponential(logits[i] - logits[best]);
        sum += probabilities[i];
    }
    for (int i = 0; i < classes; i++) {
        probabilities[i] /= sum;
    }
    return best;
}
""",
        ("exponential",),
    ),
}


def needed(kinds: list[str]) -> list[str]:
    """Return the parts that functions need, and themselves, in the order in which they can stand in a file."""
    found: dict[str, None] = {}

    def visit(name: str) -> None:
        for other in PARTS[name].needs:
            visit(other)
        found[name] = None

    for kind in kinds:
        visit(kind)
    return list(found)
