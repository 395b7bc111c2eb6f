//! Known answers: a key and a signature of each scheme, and of each size of modulus that has a kernel of its own.
//!
//! They were made once with pyca/cryptography 48, whose OpenSSL is not what we verify with; the private keys are
//! not kept.
#![forbid(unsafe_code)]

use crate::crypto::{KeyError, Scheme, VerifyingKey};

/// A signature that is genuine.
pub(super) struct Vector {
    pub(super) scheme: Scheme,
    key: Key,
    /// In hexadecimal.
    signature: &'static str,
}

/// A public key, its numbers in hexadecimal.
enum Key {
    Rsa(&'static str),
    Ec(&'static str, &'static str),
    Ed25519(&'static str),
}

/// What all of them sign.
pub(super) const MESSAGE: &[u8] = b"jotd: may this token be trusted, right now, for this?";

impl Vector {
    pub(super) fn key(&self) -> Result<VerifyingKey, KeyError> {
        match self.key {
            Key::Rsa(n) => VerifyingKey::rsa(self.scheme, &octets(n), &[1, 0, 1]),
            Key::Ec(x, y) => VerifyingKey::ec(self.scheme, &octets(x), &octets(y)),
            Key::Ed25519(x) => VerifyingKey::ed25519(&octets(x)),
        }
    }

    pub(super) fn signature(&self) -> Vec<u8> {
        octets(self.signature)
    }
}

fn octets(hexadecimal: &str) -> Vec<u8> {
    let (pairs, _) = hexadecimal.as_bytes().as_chunks();
    let digit = |digit: u8| char::from(digit).to_digit(16).unwrap_or(0) as u8;
    pairs
        .iter()
        .map(|&[high, low]| digit(high) << 4 | digit(low))
        .collect()
}

/// A modulus of 2048 bits; its exponent is 65537.
const MODULUS_2048: &str = "\
    bbc528d3e86d54a3469a73f65c0b58f7bef9b89d97db40be77bb291949e1276c653f8c3136ae5ddc51853935\
    429da99749b0467778be1c511c363b118cd9274b96a4969e0e03398feb9b6585690a435d52f2dbd14ae990d6\
    d088d8ed0bab02d48be460e6ca81306f3e3e67ddb1581bc66d85d41347c8667707c1632c8b08ce7264814867\
    237652655bb289f00e32822e78eb0999d9bb9e24872040685a3dfdb4cf63cf4d8e6988930d2fdf493a427bc8\
    52bdb3b6b8f44e315686567162172c1db324f159e7405ee182f3f00ff08d96455f072984f4e948b5c323141f\
    9dc2171d1a3701bcb9f9cf6983f8c726390e1f180b0d25728f1792d823beadd7ab48fd25";

/// A modulus of 3072 bits; its exponent is 65537.
const MODULUS_3072: &str = "\
    a09d0380583debb136de9704b46a8c4aab7d758dfeae25672ef1e586ed58ae03d176ee500e2d69fa64c67b3a\
    2ce1e132c346cbb9014b4d75c323b7e1a940236d9f95ce60ad26b0371d1be82f504878f5f9c152a3ffe2b587\
    bf598f454372797ef94bd5f7adc805ba6a070eab9818385f63522b2ab475e1f786adbf7574698b535569f848\
    f2b660bf0bc094c70148e7eda7c6d2bbfab31ca3895fd6c46f32782ddbc5e3035b584e8d474a630576da9ddd\
    8176d9fab69ce3885727dc6c5c7d87b644c263b27ac1c93c4f485638d5e7ab6b04fdd3470eb7eeb21135aa54\
    871a0609fc53c4abb476bf87f92c243e7ebe72a0f509f37c3a673b2d203476c4af7ee176fd55697bbf2befcf\
    a405835c0ed514f18dda0b066dd7002b0d7895b1b91e8a782d88dcb1f57ffe9ec183122095336f19bb5739ae\
    25e19ec29983195899dc0145dc9d9ecff2a9b574f5c4a298dccd23e21bf6f8b0f75940f5c771e3f3bce155e7\
    42be83b13e161591bfdaa0ab4b1115c0c901656d458f28c2cacb215b5541693f";

/// A modulus of 4096 bits; its exponent is 65537.
const MODULUS_4096: &str = "\
    cd89ea93a497ad5418f880fbef3f426f3a56b6bd68ce43ff046934b537da350b4725edef3b0f00c4a9d183b7\
    033de4e08a3f1179258b8943c01b7fc065afd8c162455fef8c63bf71cbe2485a7de977678b8150682915d44c\
    b04100aa22c0cacd9963273839d514302a83c01bea8857c461b272bc991b51a5859b4df6a69069dae4196487\
    b09860b0d882a1840ace6fd207a9b4a10c2994f49f282519f58e15ff6a1a5d71b3d3969a9bf843b4c278972d\
    a6f5d57154bcf2fe4ad36d488b965cc8a17e6f5e5a9b67d9fa736034653ce2fc10c3e5312de7986cee3e0f06\
    792044bfb595f5808c34ec65c6012d4e07ce44877c7e7e2001c8754a6d44ca979f67baee11e6e659f2454f4f\
    1672c4c2861f379506fc0873f8782ef823149ba340a8ba164f5fdddc38a54c08291ca1885935ba63d02f3154\
    d9ea1256a150c52f661e1b1b2e3d1ecc81818b4155e2c05bbf606019a451b510b3527b135b60b543c2ef5c04\
    fe0e7e222804754ae7492dd1d07593b7cc4dc319256d966b9b0eda4f20eae5026072a49f2ccdd168c515ed88\
    f718cfc1e1272910ea950067f5fea4822061ed443f6056f976cdc5ee1c91734e4e8399c005f8f935da8c5ea2\
    683b866c2bdfd29e09c25f60099ecd7df7218a86797be35eaf695419e42bf1ed42da65d8500454b42e0336a5\
    0f17b0f7a6c31efbd7f888b7de54e24e8896758db9a3d3639e5276ff";

#[rustfmt::skip]
pub(super) static VECTORS: [Vector; 15] = [
    Vector {
        scheme: Scheme::RsaPkcs1Sha256,
        key: Key::Rsa(MODULUS_2048),
        signature: "41aa96b83703afd927e59d2ad9c4ad61f5ade08d2cabc1ceb9f88a905ebc3f943349544ae79e\
            3b1731734aa81c0b76226b1a4d9bcef6a5237237ee37b3cfb0c0a27a8aa72052b862e1edf867\
            3d9448111c572afb934b1c59e233dc989f3b0a4085680ebf583174bebe77298c94a413e201cd\
            e85bbbb76d7fff3af9f446193c72bd39680592dcfb4432fc3c145a2bc12279899dfd4fa949a5\
            f1e605a148888611b6c091407ecd1c62f0775d8c96f399666b0efbc2a477ced251e1e3de661d\
            9218c5579703c1a3571ca38737985c421b37ceee69e5419ba48ba1a131ef732506487316028d\
            503a2faa3555abd9d0768deb28abc73470ca2f0bcac00a1777dd2318",
    },
    Vector {
        scheme: Scheme::RsaPkcs1Sha256,
        key: Key::Rsa(MODULUS_3072),
        signature: "5e9fa75b9c90fb40cc9ab96da91e3e11d5ae4b5f4ea5cae8aaf3a9c23ecdfb10d2499098fa3d\
            36c92d59e4ce3c57b132fe346c5258853f4a56cc7c8296f79fea950bd0b3465d9b66dced0c23\
            ad7c26e1569acfde5559d44bc55c1e20651b85c90e9c29489ab2377ca272d3f504cb2abc9b9a\
            33c47a2fc898b6037376dda54d7a7a622aeb755d46e7d167f2557a8848ae735dbd59ed188ca3\
            3501b5d9ce4df65dfce468a6d6f7e8dffec197ffed410844bafd984b8b0f3681f05047a51d3c\
            9d869496a6d158867aea4847bec7b2ec6b9356fcb34f45c9d35c39d0d7988abfffee39e71ef9\
            9664ec2ec72d0cc8b00ae6e2af83ff8b15d9e2ccd0341e17180d3ea70d6193afacd5e4935f73\
            386ad2243f584fb415251484b5770b5dfe1556347873744bb1830447a689d98113772947212b\
            e20c6770ba7cbe99a2d1d375f64ee44e44568650e922a5dcd3048432dfb3b7361c6225057625\
            cfd835c8385342954c15b914caee06649153faaf2f63b100f2cf6708fcd58f319a5ecb116d61\
            95e72be4",
    },
    Vector {
        scheme: Scheme::RsaPkcs1Sha256,
        key: Key::Rsa(MODULUS_4096),
        signature: "0d4e018963d9956cea76533dfb5de896b701458c1f40fca21cc1c802abefcfc39a10bfacabd2\
            273078e0f1f246634681881c65f56735c61b85e90dd8606d3d6355855950e4d3c0d796bd2f18\
            a7891387b9ca90e61399c66cc0f312f8df79e1dad7be4fec391cefe6876be3dafca6ceb0ac92\
            97e55d7590b4e83d9af6c47ed0d8692225cd6e48fede8c1694fe574b2887fa6abd211d3f5a8a\
            6ebc3c440cb93bbc1baeab2935468996b7d547669523bb77c9b038430b948be2cffd93b22494\
            d70ddc18eb0e90841c88a20c6442cc7943088b1d38b09947aa86c1bc63285fce11cbb3557d5d\
            5350f1f2ad545dc94f3ab332bf524fa122ce444bad15a0181ac8ff43efe0afa0cec221ba6f43\
            fa9f3c8d16fb4a02cebce881fa3764bb23e3c7d666d8a105870165ff9c170970c0b99a362cbb\
            092b159f2ea215ca7896f1b19ce8d82cbd9713f2a3ff07e45bffd310d3dc92fd792ec1681ccd\
            b14b76716eb44890d587a5856a996892cc2edf7a7c7b8a40c516a204bef6173ada9b669809ad\
            b0a7ea81a512cb6ed5c331c2829d51563817fdabe8c9168c0ab0406c2dd666061c0aa1525f04\
            f2aaf82838d2f9d00571668ab17ff15cd87c97e13c8c682147360f3185bad9955df16756bd2f\
            9c6d3a5271ff217e09346a351adf7367fde8abfbfd1c89f6bd45a30898ad86bfdb78c07f527a\
            bdbe5d3d4d8644d3ba40a435a0c2596b7b19",
    },
    Vector {
        scheme: Scheme::RsaPkcs1Sha384,
        key: Key::Rsa(MODULUS_2048),
        signature: "9d918438297f2e3dcd701af4ba636dc26885525a2f5a78b768db58806d95f1f47e6ff9438ee8\
            888c7942b472df2927c4896a274ebfaaca11466d772f32446ca81336f086b14124f9f06ab424\
            64bc527d2767e85a213d26a1e07e85fc98b6577818418090e2c445abde2450e379c8fdb4acc1\
            16b32203e138ec4b59353dda167e277b847d5742231cf47958ab141ba3ae7f93e8b7327a1359\
            233658995df14f33e924e01af98a597c00e2cff0d1026f7977071ac9ed9c8977721a8043ab45\
            5941317040bfa6c463337886481ccb82e513b14a8ac09439ab57155cebd726598016fbed6385\
            68282539b3d11cbcea10371c66e8a4c364858e82a82a33d6bbb938c7",
    },
    Vector {
        scheme: Scheme::RsaPkcs1Sha512,
        key: Key::Rsa(MODULUS_2048),
        signature: "b31af2acc5bffd2913e9a708ca104c45d235b39b8bad130ce437f167cf90703cd46bb0260210\
            db5e4376a3b3687f961225ff723f91f4ff83c7150d0b14fcb71c838648cc953dc7ebc582deea\
            3bb20d2fc464bfa262c40193c180d2a3fc567acec47b1523b6b4326d36576f067dfd84c4406f\
            7268773c505235d67307572442a4956d299a5559c4a6573be1612123fbb3e432b69f453727d8\
            94b231bab45fc08c809427e4de1824a349631efe27bb66798485d16d6c2b91af049f3a4635cf\
            eebab0882b8f495adc78ed16bcc6c086f4ec160e079658929cfc00b30bc68477146b36c1673b\
            8c6b62cf5532282010f26f9006ca672e074bb7ef73888054b0107f87",
    },
    Vector {
        scheme: Scheme::RsaPssSha256,
        key: Key::Rsa(MODULUS_2048),
        signature: "a388a219803d2b70ab21e22dbf25e83714819294ba2902a6203728d6ed871ae2f81f62def5e3\
            bc2403d84998f83a75e7a8272d9bae80f47986726b5d9c7772934a3adc3c19057ffefa4c103c\
            97c94dc2de21ecd2eb66fdddcb47f8a20eb80999e5004b570d311492ff189381dd0301778dd6\
            b71d3031251119f1fe273a00bf95ef86f1814ff884318798f68c3faf440e085b7251e6b3e2e6\
            695b954dee0fcb3bcd275c083ef088c075eb7ad6e445864669836833e7d85467600f5a6229be\
            2ffb9ef8bc6e731795e501533087e0c860e0adedba515d55273f1bb8ac956a9166be8e0a3ed7\
            b66ac1ff4be2b37de53c28c78a312c2a5e6550acd8a869899e56b8d1",
    },
    Vector {
        scheme: Scheme::RsaPssSha256,
        key: Key::Rsa(MODULUS_3072),
        signature: "840683ee31a79d9e3bb2389fdf62ee5349c88aa84fd7ad7a5d1cff54a91339d4859e1d914a0e\
            f807ae07fc017b851dd0e276a4e43bfa5caf608a7110e4d3419b28fea617e90a65ba204e9024\
            84c6edf28793b4b8d386484dd71cffc86b8b95f7189c094768315555e82e9a68502619706cd4\
            9b9b82e1a546c599ba6abd8a308fe19b11435974b914f05190ce65704aa8f5461370e8ac1a67\
            0f4c8d1bdce746dd3f41421f75d0783104ba125319db9234c5fa9c9c69ff4599ca9be5124ec8\
            77ead3e80d962d0847515c7e206dc48f00e460b9dd28416bd0c952267ad8c81a04d090340e5d\
            999b6702e4db4f2e037b78585b535831aa87d822f3b6e5d686c2e984abec6543c1f608853262\
            65a7c33bacad421afea82ee963fc94350711d465c55a0e4a68a33e94da2e87b98381f5513489\
            b57506734c3d009702d45614a0fc4a2e2d850aced39bb54dcc3302a09f0c4b6e8238e1a711db\
            a2c9fbcf4562b696ba872fa990ff69e37f4a0773c76e7d6a7e42281b727d3fe9d147548177d4\
            e259f370",
    },
    Vector {
        scheme: Scheme::RsaPssSha256,
        key: Key::Rsa(MODULUS_4096),
        signature: "4c17ed683779bba8c49b98cb9c962f0ca65fa1aa3d7020ceabdd1da52bca0745673ec16817a2\
            678ee69048cc5c131c28a031f49304628abc2803bd9563b7a7c5aa19b3ffd17c6b649610f3e9\
            f048497f168cb56b57f7e294ce451fca8a112a3fd269c75df3948209f4aabf7f6b5460710c8f\
            152aee1882181f27eee4fcdca1e630b56100c59a7a7e303cfeb138b751665efe86aaeffba626\
            3250b586b0263d5777a584ad98568b8a6962c3550fd99e9b6da80c50b473df8c6a47f038ca74\
            b478a9442c95d9296c86a21bae184715e1c37ff2fa85ed27dd8f596f3c8d0c831c4d4f2fac1c\
            c2ad9246cbbe52526221de6bb10c3d37d5311ffb43db993fb89fa4d4d4021ebbae2113901002\
            465a8c119f31358a843b9d9828e6930651e256b041e8e89488042cdd4afd7142141de5e252a8\
            0f3dedd86b7844f8e1e5517b0e8c633510081383823cd7c0201dc23e5c1aa28c1fa6b9d53f78\
            e34c37357f8a363a743fb484dd552b82f2416a95d8059816c70cfa6a50b2e1248ddd8bd666ac\
            cee6b5860e798fd5a28982eef8a68135a636b0b7eb12fbf6c0a21b7a60d09a112fdb87458004\
            5492d2fe56aa967bfe673c8359be8ec9d33dc19b2c2a79a9e50463fa828d839681b5671335f4\
            2add36b33ffd0b61f72cd58159f361394b9ee05d9080cb797a76463f4e85353504e24ed5e59c\
            18ecec6176a8d0bf03872d7e2a2922e0423f",
    },
    Vector {
        scheme: Scheme::RsaPssSha384,
        key: Key::Rsa(MODULUS_2048),
        signature: "5ee8f9e02de64e284ed13540b36382cb93e2a3fa05c1cfec6339a37800c1a9ec737d5749c926\
            61f7c2af9c70f8a1eaf265a97cd5680ded7e10b3cb36509de3bf5af3f5d0ca6255cdf5cff995\
            45dbc4c116faa0b9a77e31433a99a70c5c8a2e4c10e1bcb50457e581e71342dca3325a91ee27\
            917eb9fb60bf17046ea72a8af98ce26b9504bc764067ee9ad164d6682fb872111a66e5eb30f1\
            f7f76b0e0678b1b4b1fd1e8a0bc1054354eccf4cc17d692fa9a4846fb7995517bb86a592294e\
            776ada18e69191c7f2f9b93b49df674b95cce73b7aeac7e912406f5b9e0d926c85d287b6f370\
            7aae3946a3c503cb7f624a585da1e80018e7d27111f765bec709f157",
    },
    Vector {
        scheme: Scheme::RsaPssSha512,
        key: Key::Rsa(MODULUS_2048),
        signature: "3324d56e88f41be79c9fb5f14f2da61004f35961cda34b21c7a66ee3c977c92ac14625ccb1e9\
            2f39362d79686b3350f19a8095d9479caeb9172716cef8af244a430948e4e7c3f26d93a0b02d\
            0d38bf0059a8c29198867bd502ea656b575622b01534e1cc9c334fcf86596e2ab9ab89e23a27\
            232bb415f080ee47b357bab00739cec49bfddd5ea9d829d1b23a27585710ed7cda4c385f1f08\
            fed6bd1a0bb30c4971d0570b78f9bd5e4bd3ed988e0e8af24a155a68f0a804cd594f8db9e6bb\
            17b47d8ca6d218095de3249b1f0d42a16c0fdaa6874546c8667ba49cf105d957988f36a00132\
            b38dda3ae6d42ffb7d9adf99186e162456d19d67372c0ce083b78ceb",
    },
    Vector {
        scheme: Scheme::EcdsaP256Sha256,
        key: Key::Ec(
            "62cdc03617d525e56ec5736ff0d9c210815c6d61b45d1c88ec58e92081506a87",
            "98a7e56ddfe7fc5689a40061d30819f4b364bd7b811136a1d6362956789848b1",
        ),
        signature: "c23e69a74cb8bcde44f7972ff1fb1554401acb57af2c2e04a1e669510f84908631d39139d92a\
            fbbe68d917e4b4af3fff2002118868b32b3408217c8bcf37c589",
    },
    Vector {
        scheme: Scheme::EcdsaP384Sha384,
        key: Key::Ec(
            "5e5dfb89aede1dfe337be4ba66b348ebe895d3543c89ac5fca84e02cb74b535473355a545430\
            b063d826b71c65956d7f",
            "c7899a751a994b017d972c188c6aa319b2e7cce5b68f321fbc8d4790bb482ba77f7cf93beddc\
            9e8ae8e6de01ca1a0ec1",
        ),
        signature: "29393acda4c9a175a8e6b20fc3beeda9ad81d4c4f7829a26ec58b9345c1490bf8ee040e770af\
            673f7b8e1972112ca37d119db71a6531f50c861439ecb3f0eaf613473c8f41a7b5aef2aaaa6f\
            219d57ac0e47c8d46340ba0c9607791c2b40c541",
    },
    Vector {
        scheme: Scheme::EcdsaP521Sha512,
        key: Key::Ec(
            "015457119d13f12363ea365c8bd0044322657f7826979c64875e4fc5957a1413eb4b143a0be6\
            ec39e18937394914d6ca486dd4a97b91e6414422340ec2579e108cad",
            "0065676935e1870c43fce8cf29b3a462353a9dbf81ad246fbe8bd95775a60f3a1a07434c6d14\
            523544f77de2a742a4ba51515faaea6f4224e24475ad7b960004066d",
        ),
        signature: "01a28c8e94abf740245ae7376cc24dcf0e68f8c8f0174148f3a78542e98bf9be66aeb9955a3a\
            2ef6f38810ee53ca6f7b18a18aad3bbb0f31718ae51f1ee17823103b00582a97a44af49b58af\
            d56a027a7ad4fc5c75ba94df5c47ebb24bde8c92e1762c3fcbafdb819f9bc3562a9db47cfdee\
            764c7c4315638cac2b0ba4e67046af245fc7",
    },
    Vector {
        scheme: Scheme::EcdsaSecp256k1Sha256,
        key: Key::Ec(
            "5124b847b0801fa61c1ee5b48c7e5f4ca4f8821f7a1e9af552115d28d1e363d9",
            "adbad72bb7a1c53132353390367ad40efd273ef232924d91c5f82bcafd27c4bc",
        ),
        signature: "0556192766df7735a413887b2850697cd27d7e1d698580e7f199dc4a334acc9f09a4f94d03dc\
            f1d1733dfff4dd997fb938224d56475c6bf376761c5b5828b7f2",
    },
    Vector {
        scheme: Scheme::Ed25519,
        key: Key::Ed25519("879c5c9327836fb77371c979dd09efdc03c20bd7e9a0055935cc602bf0ea7c6f"),
        signature: "fb3516cf119feb2dcb6c411f93b95faa04681a4e836408d876e5c06b181c054c8edc5c0c5a97\
            4d6eedc3370bdb1350e9d0efecbe6d01b418fbf37faf26c1fa0f",
    },
];
