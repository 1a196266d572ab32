# explain.py - reference maps for ds-explain: Captum and pytorch-grad-cam on the same weights
#
#   explain.py make              a small network with seeded weights, an item and its maps into test/oracle/explain (what test/unit/explain.c compares with)
#   explain.py real DS_EXPLAIN MODEL.onnx MODEL.dsm PICTURE ...
#                                correlation of ds-explain's maps with the reference, one line per picture and method
#   explain.py cifar ...         the same for a network of 32 x 32 pictures
# Least correlations seen: squeezenet1.1 on photographs, Grad-CAM, Grad-CAM++, saliency, gradient-input (22) 1.0000, integrated gradients (8, 64 points in
# Captum) .9993; cifar10_resnet20 (4) Grad-CAM, Grad-CAM++, occlusion, saliency, gradient-input 1.0000, integrated gradients .9980.
# Needs numpy, torch, onnx, onnx2torch, captum, grad-cam, Pillow.
import io, os, subprocess, sys, warnings
import numpy as np

warnings.filterwarnings('ignore')
MEAN = np.array([.485, .456, .406], 'f4')[:, None, None]
STD = np.array([.229, .224, .225], 'f4')[:, None, None]


def reference(model, layer, x, target, method, **o):
    """The map as ds-explain --raw=npy gives it."""
    import torch
    from captum.attr import IntegratedGradients, InputXGradient, Occlusion, Saliency
    from pytorch_grad_cam import GradCAM, GradCAMPlusPlus
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
    t = torch.from_numpy(x.copy())
    if method.startswith('gradcam'):
        kind = GradCAMPlusPlus if method == 'gradcam++' else GradCAM
        with kind(model=model, target_layers=[layer]) as cam:
            return cam(input_tensor=t, targets=[ClassifierOutputTarget(target)])[0]
    t.requires_grad_()
    if method == 'integrated-gradients':
        a = IntegratedGradients(model).attribute(t, target=target, n_steps=o.get('steps', int(os.environ.get('STEPS', 256))), method='riemann_middle', internal_batch_size=16)
        return a[0].detach().numpy()
    if method == 'saliency':
        return Saliency(model).attribute(t, target=target, abs=True)[0].numpy().max(0)
    if method == 'gradient-input':
        return InputXGradient(model).attribute(t, target=target)[0].detach().numpy()
    if method == 'occlusion':
        p, s, c = o['patch'], o['stride'], x.shape[1]
        with torch.no_grad():
            return Occlusion(model).attribute(t, sliding_window_shapes=(c, p, p), strides=(c, s, s), target=target, baselines=0,
                                              perturbations_per_eval=16)[0, 0].numpy()
    raise SystemExit(method)


def relus(model):
    import torch
    return [m for m in model.modules() if isinstance(m, torch.nn.ReLU)]


# ---- the small network ----------------------------------------------------------------------------------------------------------
def small():
    """input [N, 3, 12, 16] - conv 6 - relu - maxpool - conv 8 - batch norm - relu - mean over places - linear 5"""
    import torch
    from onnx import TensorProto as T, helper as h, numpy_helper as nh
    r = np.random.default_rng(7)
    f = lambda *d, s=1.: (r.standard_normal(d) * s).astype('f4')
    w = dict(w1=f(6, 3, 3, 3, s=.3), b1=f(6, s=.1), w2=f(8, 6, 3, 3, s=.25), b2=f(8, s=.1), g=1 + f(8, s=.2), be=f(8, s=.2), mu=f(8, s=.3),
             va=np.abs(f(8)) + .5, w3=f(5, 8), b3=f(5, s=.1))
    n = [h.make_node('Conv', ['x', 'w1', 'b1'], ['c1'], kernel_shape=[3, 3], pads=[1] * 4), h.make_node('Relu', ['c1'], ['r1']),
         h.make_node('MaxPool', ['r1'], ['p1'], kernel_shape=[2, 2], strides=[2, 2]),
         h.make_node('Conv', ['p1', 'w2', 'b2'], ['c2'], kernel_shape=[3, 3], pads=[1] * 4),
         h.make_node('BatchNormalization', ['c2', 'g', 'be', 'mu', 'va'], ['n2']), h.make_node('Relu', ['n2'], ['r2']),
         h.make_node('GlobalAveragePool', ['r2'], ['gap']), h.make_node('Flatten', ['gap'], ['flat']),
         h.make_node('Gemm', ['flat', 'w3', 'b3'], ['scores'], transB=1)]
    g = h.make_graph(n, 'small', [h.make_tensor_value_info('x', T.FLOAT, ['N', 3, 12, 16])], [h.make_tensor_value_info('scores', T.FLOAT, ['N', 5])],
                     [nh.from_array(v, k) for k, v in w.items()])
    onnx = h.make_model(g, opset_imports=[h.make_opsetid('', 13)], ir_version=7)
    t = lambda k: torch.from_numpy(w[k])
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 6, 3, padding=1), torch.nn.ReLU(), torch.nn.MaxPool2d(2), torch.nn.Conv2d(6, 8, 3, padding=1),
                              torch.nn.BatchNorm2d(8), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(8, 5)).eval()
    for m, a, b in (net[0], 'w1', 'b1'), (net[3], 'w2', 'b2'), (net[4], 'g', 'be'), (net[8], 'w3', 'b3'):
        m.weight.data, m.bias.data = t(a), t(b)
    net[4].running_mean, net[4].running_var = t('mu'), t('va')
    return onnx, net, f(1, 3, 12, 16)


def make(to):
    onnx, net, x = small()
    os.makedirs(to, exist_ok=True)
    open(f'{to}/small.onnx', 'wb').write(onnx.SerializeToString())
    np.save(f'{to}/item.npy', x)
    for m in 'gradcam', 'gradcam++', 'integrated-gradients', 'saliency', 'gradient-input', 'occlusion':
        a = reference(net, net[5], x, 3, m, steps=2048, patch=4, stride=3)
        np.save(f'{to}/{m}.npy', a.astype('f4'))
        print(m, a.shape, float(np.abs(a).max()))


# ---- real networks -----------------------------------------------------------------------------------------------------------------
def picture(path, cifar):
    from PIL import Image
    im = Image.open(path).convert('RGB')
    if cifar:
        im = im.resize((32, 32), Image.BILINEAR)
    elif im.size != (224, 224):
        k = 256 / min(im.size)
        im = im.resize((round(im.width * k), round(im.height * k)), Image.BILINEAR)
        x, y = (im.width - 224) // 2, (im.height - 224) // 2
        im = im.crop((x, y, x + 224, y + 224))
    a = np.asarray(im, 'f4').transpose(2, 0, 1) / 255
    return ((a - MEAN) / STD)[None].astype('f4')


def real(explain, onnx, dsm, pictures, cifar):
    import torch
    from onnx2torch import convert
    model = convert(onnx).eval()
    layer, tmp = relus(model)[-1], os.environ.get('TMPDIR', '/tmp') + f'/explain-{os.getpid()}.npy'
    methods = os.environ.get('METHODS', 'gradcam gradcam++ integrated-gradients occlusion saliency gradient-input').split()
    all_of = {m: [] for m in methods}
    patch, stride = (4, 2) if cifar else (28, 14)
    for p in pictures:
        x = picture(p, cifar)
        np.save(tmp, x)
        with torch.no_grad():
            target = int(model(torch.from_numpy(x)).argmax())
        for m in methods:
            want = reference(model, layer, x, target, m, patch=patch, stride=stride)
            have = np.load(io.BytesIO(subprocess.run([explain, '-m', dsm, '--method', m, '--class', str(target), '--raw', 'npy', tmp], check=True,
                                                     stdout=subprocess.PIPE).stdout))
            c = float(np.corrcoef(want.ravel(), have.ravel())[0, 1])
            all_of[m].append(c)
            print(f'{os.path.basename(p)}\t{target}\t{m}\t{c:.6f}', flush=True)
    for m in methods:
        a = np.array(all_of[m])
        print(f'{m}: {len(a)} pictures, correlation least {a.min():.6f}, median {np.median(a):.6f}')
    os.unlink(tmp)


if __name__ == '__main__':
    if sys.argv[1] == 'make':
        make(os.path.join(os.path.dirname(os.path.abspath(__file__)), 'explain'))
    else:
        real(sys.argv[2], sys.argv[3], sys.argv[4], sys.argv[5:], sys.argv[1] == 'cifar')
