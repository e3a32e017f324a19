/* Sums and dot products of rows, for one type of number; included once for each (REAL, VECTOR, NAME).

   The vectors are 64 bytes; where the processor's are shorter, the compiler uses several. A sum keeps a stretch of
   its row in registers while the terms go by, so every term is loaded once and nothing is stored in between. */

#define LANES ((int64_t)(64 / sizeof(REAL)))
#define STRETCH 8 /* vectors */

typedef struct {
    int64_t n, width;
    const int32_t *bounds, *rows, *order;
    const REAL *values, *table, *other;
    REAL *out;
} NAME(task);

typedef VECTOR NAME(unaligned) __attribute__((aligned(sizeof(REAL)), may_alias));
#define LOAD(at) (*(const NAME(unaligned) *)(at))

/* out[from : from + vectors * LANES] of one row: the sum of its terms; `vectors` is known when compiled. */
static inline __attribute__((always_inline)) void NAME(stretch)(
    const NAME(task) *t, int64_t i, int64_t from, const int vectors) {
    VECTOR sum[STRETCH];
    for (int k = 0; k < vectors; k++) sum[k] = (VECTOR){0};
    const int32_t last = t->bounds[i + 1];
    for (int32_t p = t->bounds[i]; p < last; p++) {
        const REAL *row = t->table + t->rows[p] * t->width + from;
        const REAL value = t->values[t->order ? t->order[p] : p];
        if (p + AHEAD < last) {
            const REAL *next = t->table + t->rows[p + AHEAD] * t->width + from;
            for (int k = 0; k < vectors; k++) __builtin_prefetch(next + k * LANES);
        }
        for (int k = 0; k < vectors; k++) sum[k] += value * LOAD(row + k * LANES);
    }
    memcpy(t->out + i * t->width + from, sum, vectors * sizeof(VECTOR));
}

static inline __attribute__((always_inline)) void NAME(sums)(const NAME(task) *t, int64_t i) {
    int64_t from = 0;
    for (; from + STRETCH * LANES <= t->width; from += STRETCH * LANES) NAME(stretch)(t, i, from, STRETCH);
    for (; from + LANES <= t->width; from += LANES) NAME(stretch)(t, i, from, 1);
    for (; from < t->width; from++) {
        REAL sum = 0;
        for (int32_t p = t->bounds[i]; p < t->bounds[i + 1]; p++)
            sum += t->values[t->order ? t->order[p] : p] * t->table[t->rows[p] * t->width + from];
        t->out[i * t->width + from] = sum;
    }
}

static inline __attribute__((always_inline)) void NAME(dots)(const NAME(task) *t, int64_t i) {
    const REAL *one = t->other + i * t->width;
    const int32_t last = t->bounds[i + 1];
    for (int32_t p = t->bounds[i]; p < last; p++) {
        const REAL *row = t->table + t->rows[p] * t->width;
        if (p + AHEAD < last) {
            const REAL *next = t->table + t->rows[p + AHEAD] * t->width;
            for (int64_t k = 0; k < t->width; k += LANES) __builtin_prefetch(next + k);
        }
        VECTOR sum[4] = {{0}, {0}, {0}, {0}};
        int64_t k = 0;
        for (; k + 4 * LANES <= t->width; k += 4 * LANES)
            for (int j = 0; j < 4; j++) sum[j] += LOAD(one + k + j * LANES) * LOAD(row + k + j * LANES);
        const VECTOR all = (sum[0] + sum[1]) + (sum[2] + sum[3]);
        REAL total = 0;
        for (int j = 0; j < LANES; j++) total += all[j];
        for (; k < t->width; k++) total += one[k] * row[k];
        t->out[p] = total;
    }
}

#undef LANES
#undef LOAD
#undef STRETCH
