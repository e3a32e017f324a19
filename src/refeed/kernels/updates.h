/* Row-sparse optimizer steps (refeed/training/skipped.py, where the formulas are), for one type of number.

   Each row is read and written once. The rows lie anywhere in big tables, so the next one is fetched ahead. */

#define LINE ((int64_t)(64 / sizeof(REAL)))

typedef struct {
    int64_t n, width, columns; /* rows; of the matrices; of an entry */
    const int64_t *rows;
    const REAL *given; /* the entries, or the gradient, a row for each of `rows` */
    REAL *weight, *first, *second;
    REAL a, b, c, d, e, f, g; /* computed in double: 1 - 0.999f is off in the fifth digit */
} NAME(update);

static inline __attribute__((always_inline)) void NAME(fetch)(const NAME(update) *t, int64_t i) {
    if (i >= t->n) return;
    const int64_t row = t->rows[i];
    for (int64_t k = 0; k < t->width; k += LINE) {
        __builtin_prefetch(t->weight + row * t->width + k, 1);
        __builtin_prefetch(t->first + row * t->width + k, 1);
        if (t->second) __builtin_prefetch(t->second + row * t->width + k, 1);
    }
}

#define ROW(of) (t->of + t->rows[i] * t->width)

/* (w, m) times the entry's matrix. */
static inline __attribute__((always_inline)) void NAME(momentum_skip)(const NAME(update) *t, int64_t i) {
    REAL *restrict w = ROW(weight), *restrict m = ROW(first);
    const REAL *entry = t->given + i * 4;
    const REAL keep = entry[0], drift = entry[1], pull = entry[2], fade = entry[3];
    for (int64_t k = 0; k < t->width; k++) {
        const REAL weight = w[k], momentum = m[k];
        w[k] = keep * weight + drift * momentum;
        m[k] = pull * weight + fade * momentum;
    }
}

/* a: rate, b: momentum, c: decay. */
static inline __attribute__((always_inline)) void NAME(momentum_step)(const NAME(update) *t, int64_t i) {
    REAL *restrict w = ROW(weight), *restrict m = ROW(first);
    const REAL *restrict g = t->given + i * t->width;
    const REAL rate = t->a, fade = t->b, decay = t->c;
    for (int64_t k = 0; k < t->width; k++) {
        m[k] = fade * m[k] + (g[k] + decay * w[k]);
        w[k] -= rate * m[k];
    }
}

/* f: epsilon. */
static inline __attribute__((always_inline)) void NAME(adamw_skip)(const NAME(update) *t, int64_t i) {
    REAL *restrict w = ROW(weight), *restrict m = ROW(first), *restrict v = ROW(second);
    const REAL *entry = t->given + i * t->columns;
    const REAL fade = entry[0], fade_square = entry[1], keep = entry[2], centre = entry[3];
    const int64_t last = t->columns - 1;
    for (int64_t from = 0; from < t->width; from += LINE) {
        const int64_t n = from + LINE < t->width ? LINE : t->width - from;
        REAL sum[LINE], denominator[LINE], u[LINE];
        for (int64_t k = 0; k < n; k++) {
            const REAL scaled = centre * SQRT(v[from + k]);
            denominator[k] = scaled + t->f;
            u[k] = scaled / denominator[k];
            sum[k] = entry[last];
        }
        for (int64_t term = last - 1; term >= 4; term--)
            for (int64_t k = 0; k < n; k++) sum[k] = entry[term] - u[k] * sum[k];
        for (int64_t k = 0; k < n; k++) {
            w[from + k] = keep * w[from + k] - sum[k] * (m[from + k] / denominator[k]);
            m[from + k] *= fade;
            v[from + k] *= fade_square;
        }
    }
}

/* a: 1 - rate * decay, b: 1 - the first beta, c: the second, d: root of the second's correction, e: rate over the first's,
   f: epsilon, g: 1 - the second beta. */
static inline __attribute__((always_inline)) void NAME(adamw_step)(const NAME(update) *t, int64_t i) {
    REAL *restrict w = ROW(weight), *restrict m = ROW(first), *restrict v = ROW(second);
    const REAL *restrict g = t->given + i * t->width;
    for (int64_t k = 0; k < t->width; k++) {
        m[k] += t->b * (g[k] - m[k]);
        v[k] = t->c * v[k] + t->g * g[k] * g[k];
        w[k] = t->a * w[k] - t->e * m[k] / (SQRT(v[k]) / t->d + t->f);
    }
}
#undef ROW
#undef LINE
