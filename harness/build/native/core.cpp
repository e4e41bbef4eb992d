// Compiles against every ncnn since 2020: what a version may lack is probed at compile time.
#define HX_BUILDING_CORE
#include "core.h"

#include <stdlib.h>
#include <string.h>

#include <sstream>
#include <string>
#include <type_traits>
#include <utility>

#include "net.h"
#include "option.h"
#if NCNN_VULKAN
#include "gpu.h"
#endif

namespace {

// The build writes one HX_FIELD(name) per bool or int declaration it finds in option.h. Fields
// that the preprocessor removed (no Vulkan, say) do not compile as members and drop out here.
struct Field
{
    const char* name;
    bool present;
    bool is_bool;
    int (*get)(const ncnn::Option&);
    void (*set)(ncnn::Option&, int);
};

#define HX_FIELD(field)                                                                        \
    struct field##_probe                                                                       \
    {                                                                                          \
        template<typename T>                                                                   \
        static auto test(int) -> decltype(std::declval<T&>().field, std::true_type());         \
        template<typename T>                                                                   \
        static std::false_type test(...);                                                      \
        typedef decltype(test<ncnn::Option>(0)) present;                                       \
        template<typename T>                                                                   \
        static int get(const T& option, std::true_type)                                        \
        {                                                                                      \
            return static_cast<int>(option.field);                                             \
        }                                                                                      \
        template<typename T>                                                                   \
        static int get(const T&, std::false_type)                                              \
        {                                                                                      \
            return 0;                                                                          \
        }                                                                                      \
        template<typename T>                                                                   \
        static void set(T& option, int value, std::true_type)                                  \
        {                                                                                      \
            typedef typename std::decay<decltype(option.field)>::type type;                    \
            option.field = static_cast<type>(value);                                           \
        }                                                                                      \
        template<typename T>                                                                   \
        static void set(T&, int, std::false_type)                                              \
        {                                                                                      \
        }                                                                                      \
        template<typename T>                                                                   \
        static bool is_bool(std::true_type)                                                    \
        {                                                                                      \
            return std::is_same<decltype(std::declval<T>().field), bool>::value;               \
        }                                                                                      \
        template<typename T>                                                                   \
        static bool is_bool(std::false_type)                                                   \
        {                                                                                      \
            return false;                                                                      \
        }                                                                                      \
        static int get_field(const ncnn::Option& option) { return get(option, present()); }    \
        static void set_field(ncnn::Option& option, int v) { set(option, v, present()); }      \
    };
#include "option_fields.inc"
#undef HX_FIELD

#define HX_FIELD(field)                                                                        \
    {#field, field##_probe::present::value,                                                    \
     field##_probe::is_bool<ncnn::Option>(field##_probe::present()),                           \
     field##_probe::get_field, field##_probe::set_field},
const Field all_fields[] = {
#include "option_fields.inc"
    {0, false, false, 0, 0}};
#undef HX_FIELD

const Field* field_at(int index)
{
    for (const Field* field = all_fields; field->name; field++)
    {
        if (field->present && index-- == 0)
            return field;
    }
    return 0;
}

const Field* field_named(const char* name)
{
    for (const Field* field = all_fields; field->name; field++)
    {
        if (field->present && strcmp(field->name, name) == 0)
            return field;
    }
    return 0;
}

// ncnn::Mat has a depth axis since 2021-12.
struct Depth
{
    template<typename T>
    static auto of(const T& mat, int) -> decltype(mat.d)
    {
        return mat.d;
    }
    template<typename T>
    static int of(const T&, long)
    {
        return 1;
    }
    template<typename T>
    static auto make(int w, int h, int d, int c, int) -> decltype(T(w, h, d, c, (size_t)4u))
    {
        return T(w, h, d, c, (size_t)4u);
    }
    template<typename T>
    static T make(int, int, int, int, long)
    {
        return T();
    }
};

// Copies between a dense buffer and a mat whose channels are padded to `cstep` elements.
void copy_channels(const ncnn::Mat& mat, int plane, float* out, const float* in)
{
    const int channels = mat.dims >= 3 ? mat.c : 1;
    for (int q = 0; q < channels; q++)
    {
        float* channel = (float*)mat.data + mat.cstep * q;
        if (out)
            memcpy(out + (size_t)plane * q, channel, sizeof(float) * plane);
        else
            memcpy(channel, in + (size_t)plane * q, sizeof(float) * plane);
    }
}

ncnn::Mat to_mat(const hx_tensor& tensor)
{
    const int* s = tensor.shape;
    ncnn::Mat mat;
    int plane = 0;
    switch (tensor.dims)
    {
    case 1:
        mat.create(s[0], (size_t)4u);
        plane = s[0];
        break;
    case 2:
        mat.create(s[1], s[0], (size_t)4u);
        plane = s[0] * s[1];
        break;
    case 3:
        mat.create(s[2], s[1], s[0], (size_t)4u);
        plane = s[1] * s[2];
        break;
    case 4:
        mat = Depth::make<ncnn::Mat>(s[3], s[2], s[1], s[0], 0);
        plane = s[1] * s[2] * s[3];
        break;
    }
    if (!mat.empty())
        copy_channels(mat, plane, 0, tensor.data);
    return mat;
}

// Not every version undoes packing and half precision in extract().
ncnn::Mat to_plain(const ncnn::Mat& mat, const ncnn::Option& opt)
{
    ncnn::Option plain = opt;
    plain.num_threads = 1;
    plain.use_vulkan_compute = false;
    ncnn::Mat unpacked = mat;
    if (mat.elempack != 1)
        ncnn::convert_packing(mat, unpacked, 1, plain);
    ncnn::Mat wide = unpacked;
    if (unpacked.elemsize == 2u)
    {
        if (opt.use_bf16_storage)
            ncnn::cast_bfloat16_to_float32(unpacked, wide, plain);
        else
            ncnn::cast_float16_to_float32(unpacked, wide, plain);
    }
    return wide;
}

// Between quantised layers blobs are int8; above, they are the numbers that these are.
ncnn::Mat to_float(const ncnn::Mat& mat)
{
    if (mat.elemsize != 1u || mat.elempack != 1 || mat.dims < 1 || mat.dims > 3)
        return mat;
    ncnn::Mat wide;
    if (mat.dims == 1)
        wide.create(mat.w, (size_t)4u);
    else if (mat.dims == 2)
        wide.create(mat.w, mat.h, (size_t)4u);
    else
        wide.create(mat.w, mat.h, mat.c, (size_t)4u);
    const int channels = mat.dims == 3 ? mat.c : 1;
    const int plane = mat.dims == 1 ? mat.w : mat.w * mat.h;
    for (int q = 0; q < channels && !wide.empty(); q++)
    {
        const signed char* from = (const signed char*)mat.data + mat.cstep * q;
        float* to = (float*)wide.data + wide.cstep * q;
        for (int i = 0; i < plane; i++)
            to[i] = from[i];
    }
    return wide;
}

int to_tensor(const ncnn::Mat& mat, hx_tensor* out)
{
    // A detector that finds nothing gives an empty blob.
    if (mat.dims == 0 && !mat.data)
    {
        out->dims = 1;
        out->shape[0] = 0;
        out->data = (float*)malloc(sizeof(float));
        return out->data ? HX_OK : HX_OUT_OF_MEMORY;
    }
    if (mat.empty() || mat.elemsize != 4u || mat.elempack != 1)
        return HX_RUN_FAILED;
    const int depth = Depth::of(mat, 0);
    const int shapes[4][4] = {{mat.w}, {mat.h, mat.w}, {mat.c, mat.h, mat.w}, {mat.c, depth, mat.h, mat.w}};
    if (mat.dims < 1 || mat.dims > HX_MAX_DIMS)
        return HX_TOO_MANY_DIMS;
    const int plane = mat.dims == 1 ? mat.w : mat.w * mat.h * depth;
    const size_t total = (size_t)plane * (mat.dims >= 3 ? mat.c : 1);
    out->dims = mat.dims;
    memcpy(out->shape, shapes[mat.dims - 1], sizeof(out->shape));
    out->data = (float*)malloc(total * sizeof(float));
    if (!out->data)
        return HX_OUT_OF_MEMORY;
    copy_channels(mat, plane, out->data, 0);
    return HX_OK;
}

// The layers were a public member first, then hidden, and have had an accessor since 2021.
struct Layers
{
    template<typename T>
    static auto at(const T& net, size_t index, int) -> decltype(net.layers().at(index))
    {
        return net.layers().at(index);
    }
    template<typename T>
    static auto at(const T& net, size_t index, long) -> decltype(net.layers.at(index))
    {
        return net.layers.at(index);
    }
    template<typename T>
    static const ncnn::Layer* at(const T&, size_t, ...)
    {
        return 0;
    }
};

#if NCNN_VULKAN
// What ncnn tells of a device was a set of members first and has been functions since 2021.
#define HX_DEVICE(property)                                                                    \
    struct property##_of                                                                       \
    {                                                                                          \
        template<typename T>                                                                   \
        static auto add(std::ostream& out, const T& gpu, int)                                  \
            -> decltype(void(out << gpu.property()))                                           \
        {                                                                                      \
            out << #property " " << gpu.property() << "\n";                                    \
        }                                                                                      \
        template<typename T>                                                                   \
        static auto add(std::ostream& out, const T& gpu, long)                                 \
            -> decltype(void(out << gpu.property))                                             \
        {                                                                                      \
            out << #property " " << gpu.property << "\n";                                      \
        }                                                                                      \
        template<typename T>                                                                   \
        static void add(std::ostream&, const T&, ...)                                          \
        {                                                                                      \
        }                                                                                      \
    };
#define HX_DEVICE_PROPERTIES                                                                   \
    HX_DEVICE(device_name)                                                                     \
    HX_DEVICE(driver_name)                                                                     \
    HX_DEVICE(driver_version)                                                                  \
    HX_DEVICE(api_version)                                                                     \
    HX_DEVICE(support_fp16_packed)                                                             \
    HX_DEVICE(support_fp16_storage)                                                            \
    HX_DEVICE(support_fp16_arithmetic)                                                         \
    HX_DEVICE(support_bf16_packed)                                                             \
    HX_DEVICE(support_bf16_storage)
HX_DEVICE_PROPERTIES
#undef HX_DEVICE

std::string describe_device(const ncnn::GpuInfo& gpu)
{
    std::ostringstream out;
#define HX_DEVICE(property) property##_of::add(out, gpu, 0);
    HX_DEVICE_PROPERTIES
#undef HX_DEVICE
    return out.str();
}
#endif // NCNN_VULKAN

} // namespace

struct hx_net
{
    ncnn::Net net;
};

struct hx_extractor
{
    explicit hx_extractor(hx_net* n)
        : owner(n), extractor(n->net.create_extractor())
    {
    }
    hx_net* owner;
    ncnn::Extractor extractor;
};

int hx_abi(void)
{
    return HX_ABI;
}

int hx_option_count(void)
{
    int count = 0;
    while (field_at(count))
        count++;
    return count;
}

const char* hx_option_name(int index)
{
    const Field* field = field_at(index);
    return field ? field->name : 0;
}

int hx_option_is_bool(int index)
{
    const Field* field = field_at(index);
    return field && field->is_bool;
}

hx_net* hx_net_new(void)
{
    return new hx_net;
}

void hx_net_delete(hx_net* net)
{
    delete net;
}

int hx_net_set_option(hx_net* net, const char* name, int value)
{
    const Field* field = field_named(name);
    if (!field)
        return HX_UNKNOWN_OPTION;
    field->set(net->net.opt, value);
    return HX_OK;
}

int hx_net_get_option(const hx_net* net, const char* name, int* value)
{
    const Field* field = field_named(name);
    if (!field)
        return HX_UNKNOWN_OPTION;
    *value = field->get(net->net.opt);
    return HX_OK;
}

int hx_net_load_param(hx_net* net, const char* path)
{
    return net->net.load_param(path) == 0 ? HX_OK : HX_PARAM_FAILED;
}

int hx_net_load_model(hx_net* net, const char* path)
{
    // Some versions return the number of bytes read here, others 0.
    return net->net.load_model(path) >= 0 ? HX_OK : HX_BIN_FAILED;
}

int hx_device_count(void)
{
#if NCNN_VULKAN
    // Older versions want this call; newer ones do it by themselves, and twice does no harm.
    ncnn::create_gpu_instance();
    return ncnn::get_gpu_count();
#else
    return -1;
#endif
}

const char* hx_device_text(void)
{
    static std::string text;
#if NCNN_VULKAN
    if (hx_device_count() > 0)
        text = describe_device(ncnn::get_gpu_info(ncnn::get_default_gpu_index()));
#endif
    return text.c_str();
}

int hx_net_layer_on_device(const hx_net* net, int index)
{
#if NCNN_VULKAN
    const ncnn::Layer* layer = Layers::at(net->net, index, 0);
    if (!layer)
        return -1;
    return net->net.opt.use_vulkan_compute && layer->support_vulkan ? 1 : 0;
#else
    (void)net;
    (void)index;
    return 0;
#endif
}

hx_extractor* hx_extractor_new(hx_net* net, int keep_intermediate)
{
    hx_extractor* extractor = new hx_extractor(net);
    if (keep_intermediate)
        extractor->extractor.set_light_mode(false);
    return extractor;
}

void hx_extractor_delete(hx_extractor* extractor)
{
    delete extractor;
}

int hx_extractor_input(hx_extractor* extractor, const char* blob, const hx_tensor* tensor)
{
    const ncnn::Mat mat = to_mat(*tensor);
    if (mat.empty())
        return HX_TOO_MANY_DIMS;
    return extractor->extractor.input(blob, mat) == 0 ? HX_OK : HX_UNKNOWN_BLOB;
}

int hx_extractor_extract(hx_extractor* extractor, const char* blob, hx_tensor* out)
{
    ncnn::Mat mat;
    if (extractor->extractor.extract(blob, mat) != 0)
        return HX_RUN_FAILED;
    return to_tensor(to_float(to_plain(mat, extractor->owner->net.opt)), out);
}

void hx_tensor_free(hx_tensor* tensor)
{
    free(tensor->data);
    tensor->data = 0;
}
