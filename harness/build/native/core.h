/* The ncnn-facing core: one C interface over any ncnn since 2020.
 *
 * Each build of ncnn gets its own shared library with these functions. The pybind11 binding
 * (binding.cpp) and the runner (runner.cpp) know this header and nothing of ncnn.
 *
 * Shapes are given outermost axis first, as NumPy does: (w), (h, w), (c, h, w), (c, d, h, w).
 * Functions that can fail return 0 on success and a HX_ code otherwise.
 */
#ifndef HARNESS_CORE_H
#define HARNESS_CORE_H

#define HX_ABI 2
#define HX_MAX_DIMS 4

#if defined(HX_BUILDING_CORE)
#define HX_API __attribute__((visibility("default")))
#else
#define HX_API
#endif

enum
{
    HX_OK = 0,
    HX_UNKNOWN_OPTION = 1,
    HX_PARAM_FAILED = 2,
    HX_BIN_FAILED = 3,
    HX_UNKNOWN_BLOB = 4,
    HX_RUN_FAILED = 5,
    HX_TOO_MANY_DIMS = 6,
    HX_OUT_OF_MEMORY = 7
};

typedef struct hx_net hx_net;
typedef struct hx_extractor hx_extractor;

/* A dense float32 tensor; `data` of an extracted one is freed with hx_tensor_free. */
typedef struct
{
    int dims;
    int shape[HX_MAX_DIMS];
    float* data;
} hx_tensor;

#ifdef __cplusplus
extern "C" {
#endif

HX_API int hx_abi(void);

/* Fields of ncnn::Option that this build has. */
HX_API int hx_option_count(void);
HX_API const char* hx_option_name(int index);
HX_API int hx_option_is_bool(int index);

HX_API hx_net* hx_net_new(void);
HX_API void hx_net_delete(hx_net* net);
/* Options take full effect only when set before loading: ncnn converts weights while loading. */
HX_API int hx_net_set_option(hx_net* net, const char* name, int value);
HX_API int hx_net_get_option(const hx_net* net, const char* name, int* value);
HX_API int hx_net_load_param(hx_net* net, const char* path);
HX_API int hx_net_load_model(hx_net* net, const char* path);

/* Number of Vulkan devices; -1 if this build has no Vulkan. */
HX_API int hx_device_count(void);
/* The device that ncnn takes by default, as lines `key value`; empty if there is none. */
HX_API const char* hx_device_text(void);
/* Where a layer of a loaded network runs: 1 on the Vulkan device, 0 on the CPU, -1 unknown. */
HX_API int hx_net_layer_on_device(const hx_net* net, int index);

/* One forward pass. With keep_intermediate every blob stays available after it was computed;
 * without, ncnn's light mode is as the options say. */
HX_API hx_extractor* hx_extractor_new(hx_net* net, int keep_intermediate);
HX_API void hx_extractor_delete(hx_extractor* extractor);
HX_API int hx_extractor_input(hx_extractor* extractor, const char* blob, const hx_tensor* tensor);
HX_API int hx_extractor_extract(hx_extractor* extractor, const char* blob, hx_tensor* out);
HX_API void hx_tensor_free(hx_tensor* tensor);

#ifdef __cplusplus
}
#endif

#endif
