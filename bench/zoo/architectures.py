"""What is exported: of each architecture the variant with the fewest parameters."""

# timm 1.0.31.
TIMM = """
resnet18 mobilenetv2_035 efficientnet_b0 vit_tiny_patch16_224 convnext_atto regnetx_002 swin_tiny_patch4_window7_224
deit_tiny_patch16_224 mobilenetv3_small_050 densenet121 repvgg_a0 mixer_s32_224 ghostnet_050 levit_128s mobilenetv4_conv_small_035
poolformer_s12 fastvit_t8 hgnetv2_b0 edgenext_xx_small mobilevit_xxs pvt_v2_b0 xcit_nano_12_p16_224 cait_xxs24_224
crossvit_9_240 coat_lite_tiny maxvit_pico_rw_256 twins_svt_small pit_ti_224 volo_d1_224 nf_regnet_b0 dla46_c dpn48b
hardcorenas_a hrnet_w18_small inception_v3 rexnet_100 skresnet18 tiny_vit_5m_224 tresnet_m legacy_xception eva02_tiny_patch14_224
beit_base_patch16_224 mvitv2_tiny vgg11 regnety_002 mobilenetv1_100 efficientvit_b0 inception_v4
botnet26t_256 eca_botnext26ts_256 eca_halonext26ts halonet26t lambda_resnet26t sebotnet33ts_256 haloregnetz_b
bat_resnext26ts eca_resnext26ts gcresnext26ts gernet_s mobileone_s0 regnetz_b16 resnet32ts resnet51q resnext26ts
seresnext26ts coat_tiny convit_tiny convmixer_1024_20_ks9_p14 convnextv2_atto convnext_zepto_rms cpubone_nano csatv2
cs3darknet_focus_s cs3darknet_s darknet17 cspresnet50 cspresnext50 cspdarknet53 sedarknet21 cs3sedarknet_l cspnext_tiny
davit_tiny deit_tiny_distilled_patch16_224 deit3_small_patch16_224 densenetblur121d dla46x_c dla60_res2net
efficientformer_l1 efficientformerv2_s0 efficientnet_b0_gn efficientnet_cc_b0_4e efficientnet_es efficientnet_lite0
efficientnetv2_rw_t efficientnet_blur_b0 fbnetc_100 gc_efficientnetv2_rw_t mixnet_s mnasnet_050 mobilenet_edgetpu_v2_xs
semnasnet_050 spnasnet_100 tf_efficientnet_b0 tf_efficientnetv2_b0 tf_mixnet_s tinynet_e efficientvim_m1 efficientvit_m0
vit_small_patch16_rope_224 vit_tiny_patch16_dinov3_qkvb fasternet_t0 fastvit_mci0 focalnet_tiny_srf gcvit_xxtiny
ghostnetv2_100 ghostnetv3_050 hgnet_tiny hiera_tiny_224 iformer_t inception_next_atto inception_resnet_v2 lcnetv2_small
levit_conv_128s lowformer_b0 mambaout_femto coatnet_pico_rw_224 coatnet_rmlp_nano_rw_224 coatnext_nano_rw_224
maxvit_rmlp_pico_rw_256 maxxvit_rmlp_nano_rw_256 maxxvitv2_nano_rw_256 maxvit_tiny_tf_224 caformer_s18 convformer_s18
poolformerv2_s12 gmixer_12_224 gmlp_ti16_224 resmlp_12_224 fbnetv3_b lcnet_035 mobilenetv4_hybrid_medium
tf_mobilenetv3_small_075 mobilevitv2_050 nasnetalarge nest_tiny nest_tiny_jx nextvit_small eca_nfnet_l0 nfnet_l0
nf_resnet50 pit_ti_distilled_224 pnasnet5large rdnet_tiny regnetv_040 regnetz_005 repghostnet_050 repvit_m0_9
res2net50_48w_2s res2next50 resnest14d ecaresnet26t ecaresnext26t_32x4d resnet10t resnet50_gn resnetaa50 resnetblur18
resnetrs50 resnext50_32x4d seresnet18 seresnext26t_32x4d wide_resnet50_2 resnetv2_18 resnetv2_50x1_bit rexnetr_100
selecsls42 legacy_seresnet18 legacy_seresnext26_32x4d sequencer2d_s shvit_s1 skresnext50_32x4d starnet_s050 swiftformer_xs
swin_s3_tiny_224 swinv2_tiny_window8_256 swinv2_cr_tiny_224 tnt_s_legacy_patch16_224 twins_pcpvt_small visformer_tiny
flexivit_small vit_dpwee_patch16_reg1_gap_256 vit_tiny_r_s16_p8_224 vit_small_resnet26d_224 vit_relpos_small_patch16_224
vit_srelpos_small_patch16_224 vitamin_small_224 ese_vovnet19b_slim_dw eca_vovnet39b vovnet39a xception41 xception41p
""".split()

TORCHVISION = """
alexnet convnext_tiny densenet121 densenet161 densenet169 densenet201 efficientnet_b0 efficientnet_b1 efficientnet_b2
efficientnet_b3 efficientnet_v2_s googlenet inception_v3 maxvit_t mnasnet0_5 mnasnet0_75 mnasnet1_0 mnasnet1_3 mobilenet_v2
mobilenet_v3_large mobilenet_v3_small regnet_x_1_6gf regnet_x_3_2gf regnet_x_400mf regnet_x_800mf regnet_y_1_6gf
regnet_y_3_2gf regnet_y_400mf regnet_y_800mf resnet18 resnet34 resnet50 resnet101 resnext50_32x4d shufflenet_v2_x0_5
shufflenet_v2_x1_0 shufflenet_v2_x1_5 shufflenet_v2_x2_0 squeezenet1_0 squeezenet1_1 swin_t swin_v2_t vgg11 vgg11_bn vgg16_bn
vit_b_16 vit_b_32 wide_resnet50_2
""".split()

KERAS = """
ConvNeXtTiny ConvNeXtSmall DenseNet121 DenseNet169 DenseNet201 EfficientNetB0 EfficientNetB1 EfficientNetB2 EfficientNetB3
EfficientNetB4 EfficientNetV2B0 EfficientNetV2B1 EfficientNetV2B2 EfficientNetV2B3 EfficientNetV2S InceptionResNetV2
InceptionV3 MobileNet MobileNetV2 MobileNetV3Large MobileNetV3Small NASNetMobile ResNet101 ResNet101V2 ResNet152V2 ResNet50
ResNet50V2 VGG16 VGG19 Xception
""".split()

# One of each kind of network: scripts/test-import-zoo.
SAMPLE = [
    ("timm", "torchscript", ["convnext_atto", "deit_tiny_patch16_224", "ecaresnet26t", "efficientvit_b0", "ghostnet_050",
                             "mobilenetv4_conv_small_035", "nf_regnet_b0", "poolformer_s12", "regnety_002",
                             "swin_tiny_patch4_window7_224"]),
    ("torchvision", "torchscript", ["googlenet", "shufflenet_v2_x0_5"]),
]

EXPORTS = [
    ("timm", "torchscript", TIMM),
    ("torchvision", "torchscript", TORCHVISION),
    ("keras", "tf2onnx", KERAS),
    ("timm", "dynamo", TIMM),
    ("torchvision", "dynamo", TORCHVISION),
]
