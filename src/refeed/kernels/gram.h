/* Rows of a Gram matrix Xᵀ X of a sparse X, for one type of number; included once for each (REAL, NAME). */

typedef struct {
    int64_t n_items, first;
    int upper;
    const int32_t *bounds, *items;                 /* by user */
    const int32_t *item_bounds, *users, *order;    /* by item */
    const REAL *values;
    REAL *out;
} NAME(gram_task);

/* out[i] = sum over the users of item first + i of x_ui times their row; if upper, from the diagonal on. */
static inline __attribute__((always_inline)) void NAME(gram)(const NAME(gram_task) *t, int64_t i) {
    REAL *row = t->out + i * t->n_items;
    memset(row, 0, t->n_items * sizeof *row);
    const int64_t item = t->first + i;
    for (int32_t p = t->item_bounds[item]; p < t->item_bounds[item + 1]; p++) {
        const int32_t user = t->users[p], place = t->order[p];
        const REAL value = t->values[place];
        for (int32_t q = t->upper ? place : t->bounds[user]; q < t->bounds[user + 1]; q++)
            row[t->items[q]] += value * t->values[q];
    }
}
