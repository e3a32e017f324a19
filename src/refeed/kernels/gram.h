/* Products of sparse matrices, for one type of number; included once for each (REAL, NAME).

   X has a row a user: `bounds`, `items` (ascending) and `values`. The same pairs sorted by item are `item_bounds`,
   `users` and `order`, their places in the order by user. */

typedef struct {
    int64_t width, first;
    int upper;
    const int32_t *bounds, *rows, *order; /* which rows of the table each row of the product adds up */
    const REAL *values;                   /* and what each counts */
    const int32_t *columns;               /* of the table */
    const int64_t *table_bounds;
    const REAL *table;
    REAL *out;
} NAME(sparse_task);

/* out[i] = the sum over the pairs p of row first + i of values[p] times row rows[p] of a sparse table. If upper, the
   table is X and rows and pairs are X's by item: its row begins at the pair itself, so with the diagonal. */
static inline __attribute__((always_inline)) void NAME(sparse_sums)(const NAME(sparse_task) *t, int64_t i) {
    REAL *out = t->out + i * t->width;
    memset(out, 0, t->width * sizeof *out);
    for (int32_t p = t->bounds[t->first + i]; p < t->bounds[t->first + i + 1]; p++) {
        const int32_t row = t->rows[p], place = t->order ? t->order[p] : p;
        const REAL value = t->values[place];
        const int64_t last = t->table_bounds[row + 1];
        for (int64_t q = t->upper ? place : t->table_bounds[row]; q < last; q++)
            out[t->columns[q]] += value * t->table[q];
    }
}

#define BUNDLE 64 /* items that share a scratch */

typedef struct {
    int64_t n_items, first, n, k;
    const int32_t *bounds, *items, *item_bounds, *users, *order;
    const REAL *values, *lengths; /* of the items: the roots of the diagonal */
    int32_t *neighbours;
    REAL *cosines, *grams;
} NAME(local_task);

/* Sift the root of a heap of k (cosine, item) pairs down; the smallest cosine, and of equals the later item, is on
   top. */
static void NAME(sift)(REAL *cosines, int32_t *items, int64_t k, int64_t at) {
    for (;;) {
        int64_t least = at;
        for (int64_t child = 2 * at + 1; child <= 2 * at + 2 && child < k; child++)
            if (cosines[child] < cosines[least] ||
                (cosines[child] == cosines[least] && items[child] > items[least]))
                least = child;
        if (least == at) return;
        const REAL cosine = cosines[at];
        const int32_t item = items[at];
        cosines[at] = cosines[least], items[at] = items[least];
        cosines[least] = cosine, items[least] = item;
        at = least;
    }
}

/* The k items with the highest positive cosine to each item of a bundle, in no order; the rest of the room: -1. */
static void NAME(bundle_neighbours)(const NAME(local_task) *t, int64_t bundle) {
    REAL *sums = calloc(t->n_items, sizeof *sums);
    int32_t *touched = malloc(t->n_items * sizeof *touched);
    for (int64_t i = bundle * BUNDLE; sums && touched && i < t->n && i < (bundle + 1) * BUNDLE; i++) {
        const int64_t item = t->first + i;
        int64_t n_touched = 0;
        for (int32_t p = t->item_bounds[item]; p < t->item_bounds[item + 1]; p++) {
            const REAL value = t->values[t->order[p]];
            for (int32_t q = t->bounds[t->users[p]]; q < t->bounds[t->users[p] + 1]; q++) {
                if (sums[t->items[q]] == 0) touched[n_touched++] = t->items[q];
                sums[t->items[q]] += value * t->values[q];
            }
        }
        REAL *cosines = t->cosines + i * t->k;
        int32_t *neighbours = t->neighbours + i * t->k;
        for (int64_t at = 0; at < t->k; at++) cosines[at] = 0, neighbours[at] = -1;
        for (int64_t at = 0; at < n_touched; at++) {
            const int32_t other = touched[at];
            const REAL cosine = sums[other] / (t->lengths[item] * t->lengths[other]);
            sums[other] = 0;
            if (other == item || !(cosine > cosines[0] || (cosine == cosines[0] && other < neighbours[0]))) continue;
            cosines[0] = cosine, neighbours[0] = other;
            NAME(sift)(cosines, neighbours, t->k, 0);
        }
    }
    free(sums);
    free(touched);
}

/* The Gram matrix of each item's neighbours (ascending; -1 at the end where there are fewer), its lower triangle as
   LAPACK sees it; and their products with the item itself, in `cosines`. */
static void NAME(bundle_grams)(const NAME(local_task) *t, int64_t bundle) {
    int32_t *place = malloc(t->n_items * sizeof *place);
    if (place) memset(place, 0xff, t->n_items * sizeof *place);
    for (int64_t i = bundle * BUNDLE; place && i < t->n && i < (bundle + 1) * BUNDLE; i++) {
        const int32_t *neighbours = t->neighbours + i * t->k;
        int64_t k = 0;
        while (k < t->k && neighbours[k] >= 0) place[neighbours[k]] = (int32_t)k, k++;
        REAL *matrix = t->grams + i * t->k * t->k, *products = t->cosines + i * t->k;
        memset(matrix, 0, t->k * t->k * sizeof *matrix);
        memset(products, 0, t->k * sizeof *products);
        for (int64_t a = 0; a < k; a++)
            for (int32_t p = t->item_bounds[neighbours[a]]; p < t->item_bounds[neighbours[a] + 1]; p++) {
                const REAL value = t->values[t->order[p]];
                for (int32_t q = t->order[p]; q < t->bounds[t->users[p] + 1]; q++) {
                    const int32_t b = place[t->items[q]];
                    if (b >= 0) matrix[a * t->k + b] += value * t->values[q];
                }
            }
        const int64_t item = t->first + i;
        for (int32_t p = t->item_bounds[item]; p < t->item_bounds[item + 1]; p++)
            for (int32_t q = t->bounds[t->users[p]]; q < t->bounds[t->users[p] + 1]; q++) {
                const int32_t b = place[t->items[q]];
                if (b >= 0) products[b] += t->values[t->order[p]] * t->values[q];
            }
        for (int64_t a = 0; a < k; a++) place[neighbours[a]] = -1;
    }
    free(place);
}

static void NAME(neighbours_of)(const void *task, int64_t from, int64_t to) {
    for (int64_t bundle = from; bundle < to; bundle++) NAME(bundle_neighbours)(task, bundle);
}

static void NAME(grams_of)(const void *task, int64_t from, int64_t to) {
    for (int64_t bundle = from; bundle < to; bundle++) NAME(bundle_grams)(task, bundle);
}
