"""C functions whose outputs see several pixels: convolution, pooling, neighbourhoods; and every s-th pixel."""

from __future__ import annotations

from cnntrain.export.c.function import Function

WINDOWS: dict[str, Function] = {
    "axis": Function("""/* Along rows or columns: tap t of output i reads input i * stride - before + t * dilation. */
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
}
