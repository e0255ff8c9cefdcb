/* The word that somebody probably meant. */
#pragma once

/* The nearest of `candidates` to a misspelt word, or NULL when none is near (edit distance). Pure. */
const char *az_nearest(const char *word, const char *const *candidates);
