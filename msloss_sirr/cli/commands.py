"""What the commands do; everything heavy is imported only when one runs."""

from msloss_sirr.app.config import AppConfig
from msloss_sirr.errors import InputError
from msloss_sirr.export.config import ExportConfig
from msloss_sirr.training.config import TrainConfig


def run_train(config: TrainConfig) -> None:
    """Train, and say how good the best checkpoint is."""
    from msloss_sirr.trainer.processes import leave
    from msloss_sirr.training.removers import train

    best = train(config)
    if not leave():
        return
    print(  # noqa: T201
        f"best on validation: PSNR {best.after.psnr:.2f} dB (input {best.before.psnr:.2f}), "
        f"SSIM {best.after.ssim:.4f} (input {best.before.ssim:.4f}): {config.out / 'best.safetensors'}"
    )


def run_export(config: ExportConfig) -> None:
    """Export a remover, and say how near the file comes to it."""
    from msloss_sirr.export.making import export_onnx
    from msloss_sirr.files import check_free
    from msloss_sirr.models.remover import load_remover

    check_free(config.onnx, overwrite=config.overwrite)
    if config.checkpoint is not None and config.onnx.exists() and config.onnx.samefile(config.checkpoint):
        raise InputError(f"{config.onnx} is the checkpoint; name another file")
    apart = export_onnx(load_remover(config.checkpoint), config.onnx)
    print(f"{config.onnx}: any height and width; differs from PyTorch by at most {apart:.1g}")  # noqa: T201


def run_app(config: AppConfig) -> None:
    """Serve the web page until Ctrl-C, and say where it is."""
    from msloss_sirr.app.serving import serve

    def say(address: str) -> None:
        print(f"the page is at {address} (Ctrl-C ends it)", flush=True)  # noqa: T201

    serve(config, say)
