//! An object's stamp for the classifier: re-centred, neighbours masked, the fitted point source taken away.
