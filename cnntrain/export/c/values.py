"""C functions that go value by value, and those of (C, H, W) as a list: normalisation, dense layers, softmax."""

from __future__ import annotations

from cnntrain.export.c.function import Function


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


VALUES: dict[str, Function] = {
    "exponential": Function(
        """/* exp(x) for x <= 0, to 2 units in the last place: x = n ln 2 + r, and a polynomial in r. */
static float exponential(float x)
{
    union {
        uint32_t bits;
        float value;
    } power;
    if (!(x >= -87.0f)) {
        return x != x ? x : 0.0f;
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
    return p * power.value;
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
    "batch_norm2d": Function("""/* y = x * factor + summand, both per channel: all of batch norm in two numbers */
static void batch_norm2d(const float *x, float *y, int channels, int pixels, const float *factor, const float *summand)
{
    for (int c = 0; c < channels; c++) {
        for (int i = 0; i < pixels; i++) {
            *y++ = *x++ * factor[c] + summand[c];
        }
    }
}
"""),
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
