/* Runs inputs without a fuzzing engine: each argument is a file of inputs, and before every input
 * stands its length in four bytes, little-endian. */

#include "input.h"

static void run_file(FILE *file)
{
    uint8_t head[4];
    while (fread(head, 1, sizeof head, file) == sizeof head) {
        size_t size = 0;
        for (int place = 3; place >= 0; place--)
            size = size << 8 | head[place];
        uint8_t *data = malloc(size);
        MUST(data || size == 0);
        MUST(fread(data, 1, size, file) == size);
        LLVMFuzzerTestOneInput(data, size);
        free(data);
    }
}

int main(int count, char **paths)
{
    for (int place = 1; place < count; place++) {
        FILE *file = fopen(paths[place], "rb");
        MUST(file);
        run_file(file);
        fclose(file);
    }
    return 0;
}
