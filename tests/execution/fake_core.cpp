// A core without ncnn that misbehaves on command: the first element of the input says how.
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <vector>

#define HX_BUILDING_CORE
#include "core.h"

struct hx_net
{
    int fp16 = 1;
    int threads = 4;
    int loaded_with = -1;
};

struct hx_extractor
{
    hx_net* net;
    hx_tensor input;
    std::vector<float> data;
};

static const char* names[] = {"use_fp16_storage", "num_threads"};

static int* field(hx_net* net, const char* name)
{
    if (strcmp(name, names[0]) == 0)
        return &net->fp16;
    return strcmp(name, names[1]) == 0 ? &net->threads : 0;
}

static void misbehave(int code)
{
    switch (code)
    {
    case 101:
    case 106: // a layer alone only
        raise(SIGILL);
        break;
    case 102:
        fprintf(stderr, "the heap is gone\n");
        abort();
    case 103:
        sleep(3600);
        break;
    case 104:
        for (std::vector<char*> all;;)
        {
            all.push_back(new char[256 << 20]);
            memset(all.back(), 1, 1);
        }
    case 105:
        exit(7);
    }
}

int hx_abi(void) { return HX_ABI; }
int hx_option_count(void) { return 2; }
const char* hx_option_name(int index) { return names[index]; }
int hx_option_is_bool(int index) { return index == 0; }
hx_net* hx_net_new(void) { return new hx_net; }
void hx_net_delete(hx_net* net) { delete net; }

int hx_net_set_option(hx_net* net, const char* name, int value)
{
    int* at = field(net, name);
    if (!at)
        return HX_UNKNOWN_OPTION;
    *at = value;
    return HX_OK;
}

int hx_net_get_option(const hx_net* net, const char* name, int* value)
{
    *value = *field(const_cast<hx_net*>(net), name);
    return HX_OK;
}

int hx_net_load_param(hx_net*, const char* path)
{
    if (!strstr(path, "refused"))
        return HX_OK;
    fprintf(stderr, "layer Strange not exists or registered\n");
    return HX_PARAM_FAILED;
}

int hx_net_load_model(hx_net* net, const char*)
{
    net->loaded_with = net->fp16;
    return HX_OK;
}

int hx_device_count(void) { return -1; }
const char* hx_device_text(void) { return ""; }
int hx_net_layer_on_device(const hx_net*, int) { return 0; }

// What follows a pass that keeps all blobs is a layer alone.
static bool kept_last = false;
static bool dies_alone = false;

hx_extractor* hx_extractor_new(hx_net* net, int keep)
{
    dies_alone = kept_last && !keep;
    kept_last = keep;
    return new hx_extractor{net, {}, {}};
}
void hx_extractor_delete(hx_extractor* extractor) { delete extractor; }

int hx_extractor_input(hx_extractor* extractor, const char*, const hx_tensor* tensor)
{
    size_t size = 1;
    for (int i = 0; i < tensor->dims; i++)
        size *= tensor->shape[i];
    extractor->data.assign(tensor->data, tensor->data + size);
    extractor->input = *tensor;
    return HX_OK;
}

// ReLU, and with fp16 storage at load time a relative error of 1e-3.
int hx_extractor_extract(hx_extractor* extractor, const char* blob, hx_tensor* out)
{
    const bool is_input = strcmp(blob, "x") == 0;
    if (!is_input)
        misbehave((int)extractor->data[0] == 106 && !dies_alone ? 0 : (int)extractor->data[0]);
    *out = extractor->input;
    out->data = (float*)malloc(extractor->data.size() * sizeof(float));
    for (size_t i = 0; i < extractor->data.size(); i++)
    {
        const float given = extractor->data[i];
        const float error = extractor->net->loaded_with ? 1.001f : 1.f;
        out->data[i] = is_input ? given : given > 0 ? given * error : 0.f;
    }
    return HX_OK;
}

void hx_tensor_free(hx_tensor* tensor) { free(tensor->data); }
